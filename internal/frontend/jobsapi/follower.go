package jobsapi

import (
	"context"
	"fmt"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
)

// follower sends what is new in a job's log. Output is sent once, in order; a reader that resumes gets attempt, entry, exit and
// state events again, which it knows by their numbers.
type follower struct {
	store Store
	out   *eventWriter
	job   int64
	// at is where the next output is read.
	at position
	// begun: the attempt was announced. opened entries, 1 to n, were too; exited ones have ended.
	begun  bool
	opened int
	exited map[int]bool
	state  jobs.StateEvent
}

// catchUp sends everything there is, and reports whether the job is over.
func (f *follower) catchUp(ctx context.Context) (over bool, err error) {
	job, err := f.store.Job(ctx, f.job)
	if err != nil {
		return false, err
	}
	for f.at.attempt <= len(job.Attempts) {
		attempt := job.Attempts[f.at.attempt-1]
		if attempt.EndedAt == nil {
			if err := f.tell(job); err != nil {
				return false, err
			}
		}
		if err := f.attempt(ctx, attempt); err != nil {
			return false, err
		}
		if attempt.EndedAt == nil || f.at.attempt == len(job.Attempts) {
			break
		}
		f.at, f.begun, f.opened = position{attempt: f.at.attempt + 1}, false, 0
		clear(f.exited)
	}
	if err := f.tell(job); err != nil {
		return false, err
	}
	if !job.State.Final() {
		return false, nil
	}
	return true, f.out.event(jobs.EventEnd, "", jobs.StateEvent{State: job.State, Reason: job.Reason})
}

// tell tells the job's state when it is new. The state in which an attempt runs comes before its log, that between attempts behind
// it; of final ones the end event tells.
func (f *follower) tell(job store.Job) error {
	state := jobs.StateEvent{State: job.State, Reason: job.Reason}
	if state == f.state || job.State.Final() {
		return nil
	}
	f.state = state
	return f.out.event(jobs.EventState, "", state)
}

// attempt sends what is new of one attempt.
func (f *follower) attempt(ctx context.Context, attempt jobs.Attempt) error {
	if !f.begun {
		f.begun = true
		event := jobs.AttemptEvent{Number: attempt.Number, Executor: attempt.Executor, StartedAt: attempt.StartedAt}
		if err := f.out.event(jobs.EventAttempt, f.at.String(), event); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		// The entries are taken before the output: all output of those that have ended is then there to be read.
		entries, err := f.store.Entries(ctx, f.job, f.at.attempt)
		if err != nil {
			return fmt.Errorf("entries: %w", err)
		}
		ahead, err := f.lookAhead(ctx, len(entries))
		if err != nil {
			return fmt.Errorf("output: %w", err)
		}
		if !ahead.unknown {
			return f.send(ctx, entries, ahead)
		}
	}
	return context.Cause(ctx)
}

// ahead is what the output behind a position looks like.
type ahead struct {
	// end is the offset behind its last byte.
	end int64
	// last is the offset behind each entry's last byte.
	last map[int]int64
	// unknown: it has output of an entry that was opened only after the entries were taken.
	unknown bool
}

// lookAhead finds where each entry's output ends, so that its end is told right behind it: output of several entries may
// be mixed.
func (f *follower) lookAhead(ctx context.Context, entries int) (ahead, error) {
	a := ahead{end: f.at.offset, last: make(map[int]int64)}
	for {
		pieces, err := f.store.ReadLog(ctx, f.job, f.at.attempt, a.end, logChunk)
		if err != nil || len(pieces) == 0 {
			return a, err
		}
		for _, piece := range pieces {
			if piece.Entry > entries {
				a.unknown = true
				return a, nil
			}
			a.end = piece.Offset + int64(len(piece.Data))
			a.last[piece.Entry] = a.end
		}
	}
}

// send sends entries and output up to where was looked ahead.
func (f *follower) send(ctx context.Context, entries []jobs.Entry, a ahead) error {
	for f.at.offset < a.end {
		pieces, err := f.store.ReadLog(ctx, f.job, f.at.attempt, f.at.offset, int(min(logChunk, a.end-f.at.offset)))
		if err != nil {
			return fmt.Errorf("output: %w", err)
		}
		if len(pieces) == 0 {
			return fmt.Errorf("output: the log of attempt %d ended at %d, before %d", f.at.attempt, f.at.offset, a.end)
		}
		for _, piece := range pieces {
			if err := f.open(entries[:piece.Entry], a); err != nil {
				return err
			}
			if err := f.output(piece); err != nil {
				return err
			}
			if a.last[piece.Entry] == f.at.offset {
				if err := f.exit(entries[piece.Entry-1]); err != nil {
					return err
				}
			}
		}
	}
	if err := f.open(entries, a); err != nil {
		return err
	}
	for _, entry := range entries {
		if err := f.exit(entry); err != nil {
			return err
		}
	}
	return nil
}

// open announces entries up to the last of the given ones, and the end of those without output to come.
func (f *follower) open(entries []jobs.Entry, a ahead) error {
	for ; f.opened < len(entries); f.opened++ {
		entry := entries[f.opened]
		opened := jobs.Entry{ID: entry.ID, Key: entry.Key, Command: entry.Command, StartedAt: entry.StartedAt}
		if err := f.out.event(jobs.EventEntry, "", opened); err != nil {
			return err
		}
		if a.last[entry.ID] == 0 {
			if err := f.exit(entry); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *follower) output(piece store.Piece) error {
	f.at.offset = piece.Offset + int64(len(piece.Data))
	event := jobs.OutputEvent{Entry: piece.Entry, Offset: piece.Offset, Text: string(piece.Data), Reset: piece.Reset}
	return f.out.event(jobs.EventOutput, f.at.String(), event)
}

func (f *follower) exit(entry jobs.Entry) error {
	if entry.ExitCode == nil || f.exited[entry.ID] {
		return nil
	}
	f.exited[entry.ID] = true
	return f.out.event(jobs.EventExit, "", entry)
}
