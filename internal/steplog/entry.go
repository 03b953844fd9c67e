package steplog

import (
	"io"
	"sync"
	"time"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/mask"
)

// entry is one entry of the log, open for writing until it is closed.
type entry struct {
	logger  *Logger
	key     string
	command []string
	started time.Time
	// number is that of its record.
	number int

	mu             sync.Mutex
	buffer         buffer
	stdout, stderr *stream
	notes          *stream
	closed         bool
	// held keeps what there is from being sent until the entry is closed.
	held     bool
	exitCode int
	took     time.Duration

	// Of the upload loop only: the entry's id at the frontend, how much of the buffer is there, and until when updates rest.
	added bool
	id    int
	sent  int
	rest  time.Time
}

func newEntry(l *Logger, key string, words []string) *entry {
	e := &entry{logger: l, key: key, command: words, started: time.Now().UTC(), buffer: buffer{limit: l.options.MaxEntryBytes}}
	e.stdout = newStream(e, "stdout: ")
	e.stderr = newStream(e, "stderr: ")
	e.notes = newStream(e, "")
	return e
}

func (e *entry) Write(p []byte) (int, error) {
	n, err := e.notes.Write(p)
	e.recordNotes()
	return n, err
}

// recordNotes keeps for a later log what it couldn't know: notes before all output, which comes again.
func (e *entry) recordNotes() {
	e.mu.Lock()
	notes := ""
	if !e.closed && !e.stdout.used && !e.stderr.used && len(e.buffer.data) <= maxRecordedNotes {
		notes = string(e.buffer.data)
	}
	e.mu.Unlock()
	if notes != "" {
		e.logger.record(e.number, func(r *Record) { r.Notes = notes })
	}
}

func (e *entry) Stdout() io.Writer { return e.stdout }
func (e *entry) Stderr() io.Writer { return e.stderr }

// Close ends the entry; what streams hold back goes to the buffer first.
func (e *entry) Close(exitCode int) { e.close(exitCode, "") }

// abandon closes an entry that nobody has closed.
func (e *entry) abandon() { e.close(-1, "[log] The job ended while this was still open.\n") }

func (e *entry) close(exitCode int, note string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	for _, s := range []*stream{e.stdout, e.stderr, e.notes} {
		s.finish()
	}
	e.buffer.finish()
	if note != "" {
		e.buffer.note(note)
	}
	e.closed, e.exitCode, e.took = true, exitCode, time.Since(e.started)
	e.logger.notify()
}

// drop lets go of the output and takes no more.
func (e *entry) drop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed, e.buffer = true, buffer{}
}

// state is what there is to send of an entry at one moment.
type state struct {
	out      []byte
	closed   bool
	held     bool
	exitCode int
	took     time.Duration
}

func (e *entry) state() state {
	e.mu.Lock()
	defer e.mu.Unlock()
	return state{out: e.buffer.from(0), closed: e.closed, held: e.held && !e.closed, exitCode: e.exitCode, took: e.took}
}

func (s state) wire(e *entry) api.ExecutionLogEntry {
	wire := api.ExecutionLogEntry{Key: e.key, Command: e.command, StartTime: e.started, Out: string(s.out)}
	if s.closed {
		exitCode, took := s.exitCode, int(s.took.Milliseconds())
		wire.ExitCode, wire.DurationMs = &exitCode, &took
	}
	return wire
}

// stream is one way into an entry: it masks, then cuts into lines.
type stream struct {
	entry  *entry
	lines  lines
	masked *mask.Stream
	// used is true once something was written.
	used bool
}

func newStream(e *entry, prefix string) *stream {
	s := &stream{entry: e, lines: lines{buffer: &e.buffer, prefix: prefix, limit: e.logger.options.MaxLineBytes}}
	s.masked = e.logger.masker.Stream(&s.lines)
	return s
}

// Write never fails; what comes after the entry's end is dropped.
func (s *stream) Write(p []byte) (int, error) {
	s.entry.mu.Lock()
	defer s.entry.mu.Unlock()
	if s.entry.closed {
		return len(p), nil
	}
	s.used = true
	return s.masked.Write(p)
}

// finish needs the entry's lock.
func (s *stream) finish() {
	// The lines never fail.
	_ = s.masked.Flush()
	s.lines.finish()
}
