// Package commandtest helps to test what writes into a job's log.
package commandtest

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command"
)

// awaitLimit bounds Await. It is long because test machines are slow; nothing waits for it when all is well.
const awaitLimit = 30 * time.Second

// Log is a command.Log that keeps everything in memory. Safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	entries []*entry
	changed chan struct{}
}

// Entry is the state of one entry of a Log.
type Entry struct {
	Key     string
	Command []string
	// Out has the notes as they came and each line of the command behind "stdout: " or "stderr: ".
	Out string
	// Closed tells whether the entry was closed, with ExitCode.
	Closed   bool
	ExitCode int
}

// NewLog returns an empty log.
func NewLog() *Log { return &Log{changed: make(chan struct{})} }

// Open implements command.Log.
func (l *Log) Open(key string, words []string) command.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &entry{log: l, state: Entry{Key: key, Command: slices.Clone(words)}}
	e.stdout, e.stderr = &stream{entry: e, prefix: "stdout: "}, &stream{entry: e, prefix: "stderr: "}
	l.entries = append(l.entries, e)
	l.notify()
	return e
}

// Entries returns the entries so far, in the order in which they were opened. The last line of a stream is part of Out once
// it is ended by a newline or by the entry's end.
func (l *Log) Entries() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Entry, 0, len(l.entries))
	for _, e := range l.entries {
		state := e.state
		state.Out = e.out.String()
		all = append(all, state)
	}
	return all
}

// Keys returns the keys of all entries in order.
func (l *Log) Keys() []string {
	var keys []string
	for _, e := range l.Entries() {
		keys = append(keys, e.Key)
	}
	return keys
}

// Entry returns the only entry of that key; it ends the test when there is none, or another one.
func (l *Log) Entry(t testing.TB, key string) Entry {
	t.Helper()
	var found []Entry
	for _, e := range l.Entries() {
		if e.Key == key {
			found = append(found, e)
		}
	}
	require.Len(t, found, 1, "entries of key %q among %q", key, l.Keys())
	return found[0]
}

// RequireClosed ends the test unless every entry has been closed.
func (l *Log) RequireClosed(t testing.TB) {
	t.Helper()
	for _, e := range l.Entries() {
		require.True(t, e.Closed, "entry %q is still open; its output is %q", e.Key, e.Out)
	}
}

// Await returns as soon as the output of an entry of that key contains text, unfinished lines included. It ends the test when
// that takes too long.
func (l *Log) Await(t testing.TB, key, text string) {
	t.Helper()
	limit := time.NewTimer(awaitLimit)
	defer limit.Stop()
	for {
		found, changed := l.has(key, text)
		if found {
			return
		}
		select {
		case <-changed:
		case <-limit.C:
			require.FailNow(t, "no such output", "key %q, text %q, log %+v", key, text, l.Entries())
		}
	}
}

func (l *Log) has(key, text string) (bool, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if e.state.Key != key {
			continue
		}
		for _, out := range []string{e.out.String(), e.stdout.partial.String(), e.stderr.partial.String()} {
			if strings.Contains(out, text) {
				return true, nil
			}
		}
	}
	return false, l.changed
}

// notify wakes those who wait for a change. The caller holds the lock.
func (l *Log) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}

type entry struct {
	log            *Log
	state          Entry
	out            strings.Builder
	stdout, stderr *stream
}

func (e *entry) Write(p []byte) (int, error) {
	e.log.mu.Lock()
	defer e.log.mu.Unlock()
	e.out.Write(p)
	e.log.notify()
	return len(p), nil
}

func (e *entry) Stdout() io.Writer { return e.stdout }

func (e *entry) Stderr() io.Writer { return e.stderr }

func (e *entry) Close(exitCode int) {
	e.log.mu.Lock()
	defer e.log.mu.Unlock()
	if e.state.Closed {
		return
	}
	for _, s := range []*stream{e.stdout, e.stderr} {
		if s.partial.Len() > 0 {
			s.line(append(s.partial.Bytes(), '\n'))
			s.partial.Reset()
		}
	}
	e.state.Closed, e.state.ExitCode = true, exitCode
	e.log.notify()
}

type stream struct {
	entry   *entry
	prefix  string
	partial bytes.Buffer
}

func (s *stream) Write(p []byte) (int, error) {
	s.entry.log.mu.Lock()
	defer s.entry.log.mu.Unlock()
	s.partial.Write(p)
	for {
		end := bytes.IndexByte(s.partial.Bytes(), '\n')
		if end < 0 {
			break
		}
		s.line(s.partial.Next(end + 1))
	}
	s.entry.log.notify()
	return len(p), nil
}

func (s *stream) line(line []byte) {
	s.entry.out.WriteString(s.prefix)
	s.entry.out.Write(line)
}
