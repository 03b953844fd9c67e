package steplog

import (
	"fmt"
	"unicode/utf8"
)

// buffer holds an entry's output as it is sent: masked, valid UTF-8, only ever growing. What from has returned never changes,
// so it may be read while the buffer grows.
type buffer struct {
	data  []byte
	limit int
	// cut is set when output did not fit; dropped counts its bytes.
	cut     bool
	dropped int64
}

// from returns the bytes from an offset on.
func (b *buffer) from(offset int) []byte { return b.data[offset:len(b.data):len(b.data)] }

// add appends a line, with each invalid byte of text replaced by U+FFFD as encoding/json would. What exceeds the limit by more than
// reserve bytes is dropped; the note that says so takes the rest of the room, so that no shorter line gets in later.
func (b *buffer) add(prefix string, text []byte, end string, reserve int) {
	room := b.limit + reserve - len(b.data) - len(prefix) - len(end)
	if room < 0 {
		b.drop(len(prefix) + len(text) + len(end))
		return
	}
	b.data = append(b.data, prefix...)
	taken := b.addValid(text, room)
	b.data = append(b.data, end...)
	if taken < len(text) {
		b.drop(len(text) - taken)
	}
}

// addValid appends as much of text as fits into room bytes, in whole runes, and returns how many bytes of text that were.
func (b *buffer) addValid(text []byte, room int) (taken int) {
	if len(text) <= room && utf8.Valid(text) {
		b.data = append(b.data, text...)
		return len(text)
	}
	for taken < len(text) {
		// An invalid byte decodes as U+FFFD of width 1.
		r, width := utf8.DecodeRune(text[taken:])
		if room -= utf8.RuneLen(r); room < 0 {
			break
		}
		b.data = utf8.AppendRune(b.data, r)
		taken += width
	}
	return taken
}

func (b *buffer) drop(count int) {
	b.dropped += int64(count)
	if !b.cut {
		b.cut = true
		b.note(fmt.Sprintf("[log] The output has reached its limit of %d bytes. What follows is dropped.\n", b.limit))
	}
}

// note appends a line of our own, whatever the limit.
func (b *buffer) note(line string) {
	if n := len(b.data); n > 0 && b.data[n-1] != '\n' {
		b.data = append(b.data, '\n')
	}
	b.data = append(b.data, line...)
}

// finish says at the end how much was dropped.
func (b *buffer) finish() {
	if b.cut {
		b.note(fmt.Sprintf("[log] %d bytes of output were dropped.\n", b.dropped))
	}
}
