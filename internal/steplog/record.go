package steplog

import (
	"context"
	"slices"
	"time"

	"github.com/open-executor/executor/internal/command"
)

// Record is what a later log of the same job must know of an entry to go on with it.
type Record struct {
	Key string `json:"key"`
	// ID is the entry's at the frontend; 0 while it isn't known to be there.
	ID int `json:"id,omitempty"`
	// Started is in UTC. With Key it tells the entry from others, where the frontend asks.
	Started time.Time `json:"started"`
	// Notes stand before all output.
	Notes string `json:"notes,omitempty"`
	// Done is true once the whole entry is at the frontend.
	Done bool `json:"done,omitempty"`
}

// maxRecordedNotes bounds Record.Notes, in bytes.
const maxRecordedNotes = 4 << 10

// Records are all entries that were opened, those before this log included, in that order.
func (l *Logger) Records() []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.records)
}

// record changes an entry's record, and says so.
func (l *Logger) record(number int, change func(*Record)) {
	l.mu.Lock()
	change(&l.records[number])
	l.mu.Unlock()
	l.options.Changed()
}

// reopen finds the record of an entry that a log before this one has opened, the first of its key that nobody has asked for yet. The caller holds the lock.
func (l *Logger) reopen(key string) (number int, known bool) {
	for number, again := range l.again {
		if again && l.records[number].Key == key {
			l.again[number] = false
			return number, true
		}
	}
	return 0, false
}

// enter makes an entry with its record. The caller holds the lock.
func (l *Logger) enter(key string, words []string) *entry {
	e := newEntry(l, key, l.maskWords(words))
	if number, known := l.reopen(key); known {
		r := l.records[number]
		e.number, e.started, e.id, e.added = number, r.Started, r.ID, r.ID != 0
		e.buffer.data = append(e.buffer.data, r.Notes...)
		return e
	}
	e.number = len(l.records)
	l.records = append(l.records, Record{Key: key, Started: e.started})
	return e
}

// Sync waits until all entries that are closed now are at the frontend, or given up, or ctx has ended, whose cause is the error then.
func (l *Logger) Sync(ctx context.Context) error {
	entries, _ := l.snapshot()
	entries = slices.DeleteFunc(entries, func(e *entry) bool { return !e.state().closed })
	for {
		l.mu.Lock()
		removed := l.removed
		left := slices.ContainsFunc(entries, func(e *entry) bool { return slices.Contains(l.pending, e) })
		l.mu.Unlock()
		if !left {
			return nil
		}
		select {
		case <-removed:
		case <-l.done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Abandon ends all sending: the log is another one's to go on with. Flush is still to be called; what it returns is of no use then.
func (l *Logger) Abandon(cause error) { l.stop(cause) }

// Hold implements command.Holder.
func (e *entry) Hold() (release func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = true
	return func() {
		e.mu.Lock()
		e.held = false
		e.mu.Unlock()
		e.logger.notify()
	}
}

var _ command.Holder = (*entry)(nil)
