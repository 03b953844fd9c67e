package steplog

import (
	"bytes"
	"unicode/utf8"
)

// keepCapacity is how much memory a stream keeps from one long line to the next.
const keepCapacity = 1 << 20

// lines cuts one stream of an entry into lines, so that those of several streams never mix. Each line goes to the buffer when it
// is complete. A stream with a prefix is a command's output; without one it is notes, which go on as they are.
type lines struct {
	buffer *buffer
	prefix string
	// limit is the length beyond which a line is cut in pieces.
	limit int
	// begun is the line that has no end yet.
	begun []byte
}

// Write takes masked bytes, cut anywhere. It never fails.
func (l *lines) Write(p []byte) (int, error) {
	length := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		complete := end >= 0
		if !complete {
			end = len(p)
		}
		line := p[:end]
		if len(l.begun) > 0 || !complete || len(line) > l.limit {
			l.grow(line)
			line = l.begun
		}
		if !complete {
			break
		}
		l.emit(line)
		if l.begun = l.begun[:0]; cap(l.begun) > keepCapacity {
			l.begun = nil
		}
		p = p[end+1:]
	}
	return length, nil
}

// grow adds to the begun line and passes on full pieces of it. A piece ends where a rune does.
func (l *lines) grow(text []byte) {
	for len(l.begun)+len(text) > l.limit {
		room := l.limit - len(l.begun)
		l.begun, text = append(l.begun, text[:room]...), text[room:]
		whole := len(l.begun) - unfinishedRune(l.begun)
		if whole == 0 {
			whole = len(l.begun)
		}
		l.emit(l.begun[:whole])
		l.begun = l.begun[:copy(l.begun, l.begun[whole:])]
	}
	l.begun = append(l.begun, text...)
}

// finish passes on what has no newline.
func (l *lines) finish() {
	if len(l.begun) == 0 {
		return
	}
	if l.prefix == "" {
		l.buffer.add("", l.begun, "", NoteReserve)
	} else {
		l.emit(l.begun)
	}
	l.begun = nil
}

func (l *lines) emit(line []byte) {
	reserve := 0
	if l.prefix == "" {
		reserve = NoteReserve
	}
	l.buffer.add(l.prefix, line, "\n", reserve)
}

// unfinishedRune is the length of the rune at the end of text that lacks bytes; 0 for none.
func unfinishedRune(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
