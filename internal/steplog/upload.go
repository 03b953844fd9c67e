package steplog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/fault"
)

const (
	firstBackOff = 250 * time.Millisecond
	lastBackOff  = 5 * time.Second
	// restFactor keeps the updates of an entry with much output, sent whole each time, from taking more than a fifth of the time.
	restFactor = 4
)

// upload is the upload loop. It ends when the log is ended and everything sent, or uploads are stopped.
func (l *Logger) upload() {
	defer close(l.done)
	ticker := time.NewTicker(l.options.Interval)
	defer ticker.Stop()
	for {
		entries, ended := l.snapshot()
		if ended && len(entries) == 0 {
			return
		}
		tick := false
		select {
		case <-l.uploads.Done():
			return
		case <-l.wake:
		case <-ticker.C:
			tick = true
		}
		// An entry that is opened from here on waits for the next round: so the last update of one that was closed before that
		// goes first.
		entries, _ = l.snapshot()
		for _, e := range entries {
			if finished := l.send(e, tick); finished {
				l.remove(e)
			}
			if l.uploads.Err() != nil {
				return
			}
		}
	}
}

// send brings an entry at the frontend up to date and reports whether that was the last time. An entry that still runs is
// updated on ticks only.
func (l *Logger) send(e *entry, tick bool) (finished bool) {
	state := e.state()
	if state.held {
		return false
	}
	if !e.added {
		add := func(ctx context.Context) (err error) {
			e.id, err = l.uploader.AddEntry(ctx, state.wire(e))
			return err
		}
		if err := l.persist(e, "adding it to the frontend", add); err != nil {
			return l.giveUp(e, err)
		}
		e.added, e.sent = true, len(state.out)
		l.record(e.number, func(r *Record) { r.ID, r.Done = e.id, state.closed })
		return state.closed
	}
	update := func(ctx context.Context) error { return l.uploader.UpdateEntry(ctx, e.id, state.wire(e)) }
	switch {
	case state.closed:
		if err := l.persist(e, "its last update at the frontend", update); err != nil {
			return l.giveUp(e, err)
		}
		l.record(e.number, func(r *Record) { r.Done = true })
		return true
	case tick && len(state.out) > e.sent && !time.Now().Before(e.rest):
		started := time.Now()
		err := l.call(update)
		e.rest = time.Now().Add(restFactor * time.Since(started))
		if err != nil {
			l.warn(e, fmt.Errorf("its update at the frontend: %w", err))
			return false
		}
		e.sent = len(state.out)
	}
	return false
}

// persist calls with retries until it succeeds, fails for good, or the outage lasts too long.
func (l *Logger) persist(e *entry, what string, call func(context.Context) error) error {
	for backOff := firstBackOff; ; backOff = min(2*backOff, lastBackOff) {
		err := l.call(call)
		if err == nil {
			return nil
		}
		final := fault.ClassOf(err) != fault.Infrastructure
		err = fmt.Errorf("%s: %w", what, err)
		l.warn(e, err)
		if final || l.uploads.Err() != nil {
			return err
		}
		if l.outage.IsZero() {
			l.outage = time.Now()
		}
		if time.Since(l.outage)+backOff > l.options.RetryFor {
			return err
		}
		timer := time.NewTimer(backOff)
		select {
		case <-timer.C:
		case <-l.uploads.Done():
			timer.Stop()
			return err
		}
	}
}

// call calls once. Any answer of the frontend, a refusal too, ends an outage.
func (l *Logger) call(call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(l.uploads, l.options.CallTimeout)
	defer cancel()
	err := call(ctx)
	if err == nil || fault.ClassOf(err) != fault.Infrastructure {
		l.outage = time.Time{}
	}
	return err
}

func (l *Logger) warn(e *entry, err error) {
	l.options.Logger.Warn("log entry could not be sent", log.String("key", e.key), log.Error(err))
}

// giveUp remembers why an entry is not sent any more, and reports that it is done with. When uploads were stopped the entry stays
// pending, which Flush tells.
func (l *Logger) giveUp(e *entry, err error) bool {
	if l.uploads.Err() != nil {
		return false
	}
	l.remember(e.key, err)
	e.drop()
	return true
}

func (l *Logger) snapshot() (entries []*entry, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.pending), l.ended
}

func (l *Logger) remove(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = slices.DeleteFunc(l.pending, func(other *entry) bool { return other == e })
	close(l.removed)
	l.removed = make(chan struct{})
	<-l.slots
}
