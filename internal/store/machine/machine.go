// Package machine is the life of a job as pure code: states and events in, the next state out. Every store asks it, so that they
// share one truth; docs/state-machine.md draws it and says why each rule is as it is.
package machine

import (
	"slices"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
)

// None is where a job comes from before it is submitted.
const None jobs.State = ""

// Event is what can happen to a job.
type Event string

// Events. Complete, Errored and Fail are spelled as the store.Result that causes them.
const (
	// Submit: a client, or the retry of another job, makes the job.
	Submit Event = "submit"
	// Lease: an executor takes the job, which is due.
	Lease Event = "lease"
	// Renew: the executor is heard of.
	Renew Event = "renew"
	// Cancel: a client wants the job to end.
	Cancel Event = "cancel"
	// Complete, Errored and Fail: the executor reports the attempt's end.
	Complete = Event(store.Complete)
	Errored  = Event(store.Errored)
	Fail     = Event(store.Fail)
	// Lose: the lease was not renewed in time.
	Lose Event = "lose"
)

// Events lists all events.
func Events() []Event { return []Event{Submit, Lease, Renew, Cancel, Complete, Errored, Fail, Lose} }

// Condition is what must hold for an arrow besides its state and event.
type Condition string

const (
	Always      Condition = ""
	CancelAsked Condition = "cancel asked"
	TimedOut    Condition = "timed out"
	RetriesLeft Condition = "retries left"
	ResetsLeft  Condition = "resets left"
)

// Cause is how an attempt ended; it is jobs.Attempt's Cause.
type Cause string

const (
	// Runs: the attempt goes on, or there is none.
	Runs           Cause = ""
	CauseCompleted Cause = "completed"
	CauseErrored   Cause = "errored"
	CauseFailed    Cause = "failed"
	CauseCanceled  Cause = "canceled"
	CauseLost      Cause = "lost"
	CauseTimeout   Cause = "timeout"
)

// Counter is the number that an arrow raises by one.
type Counter string

const (
	Nothing  Counter = ""
	Failures Counter = "failures"
	Resets   Counter = "resets"
)

// Arrow is one transition.
type Arrow struct {
	From   jobs.State
	Event  Event
	When   Condition
	To     jobs.State
	Cause  Cause
	Counts Counter
}

// arrows holds all transitions. Of those with the same state and event the first whose condition holds counts.
var arrows = []Arrow{
	{None, Submit, Always, jobs.Queued, Runs, Nothing},

	{jobs.Queued, Lease, Always, jobs.Processing, Runs, Nothing},
	{jobs.Errored, Lease, Always, jobs.Processing, Runs, Nothing},
	{jobs.Processing, Renew, Always, jobs.Processing, Runs, Nothing},

	{jobs.Queued, Cancel, Always, jobs.Canceled, Runs, Nothing},
	{jobs.Errored, Cancel, Always, jobs.Canceled, Runs, Nothing},
	{jobs.Processing, Cancel, Always, jobs.Processing, Runs, Nothing},

	{jobs.Processing, Complete, CancelAsked, jobs.Canceled, CauseCompleted, Nothing},
	{jobs.Processing, Complete, Always, jobs.Completed, CauseCompleted, Nothing},

	{jobs.Processing, Errored, CancelAsked, jobs.Canceled, CauseCanceled, Nothing},
	{jobs.Processing, Errored, TimedOut, jobs.Failed, CauseTimeout, Failures},
	{jobs.Processing, Errored, RetriesLeft, jobs.Errored, CauseErrored, Failures},
	{jobs.Processing, Errored, Always, jobs.Failed, CauseErrored, Failures},

	{jobs.Processing, Fail, CancelAsked, jobs.Canceled, CauseCanceled, Nothing},
	{jobs.Processing, Fail, TimedOut, jobs.Failed, CauseTimeout, Failures},
	{jobs.Processing, Fail, Always, jobs.Failed, CauseFailed, Failures},

	{jobs.Processing, Lose, CancelAsked, jobs.Canceled, CauseLost, Resets},
	{jobs.Processing, Lose, ResetsLeft, jobs.Queued, CauseLost, Resets},
	{jobs.Processing, Lose, Always, jobs.Failed, CauseLost, Resets},
}

// Arrows returns all transitions in the order in which they are tried.
func Arrows() []Arrow { return slices.Clone(arrows) }

// Job is what decides a job's next state.
type Job struct {
	State jobs.State
	// CancelAsked is store.Job's Cancel.
	CancelAsked bool
	// Failures, Retries and Resets are as before the event.
	Failures, Retries, Resets int
	// Timeout bounds an attempt; 0 for no bound.
	Timeout time.Duration
	// Ran is how long the current attempt has run so far, by a clock that never jumps.
	Ran time.Duration
}

// Next returns the arrow that the event takes, false when the job's state does not know the event.
func Next(job Job, event Event) (Arrow, bool) {
	for _, arrow := range arrows {
		if arrow.From == job.State && arrow.Event == event && job.meets(arrow.When) {
			return arrow, true
		}
	}
	return Arrow{}, false
}

func (j Job) meets(condition Condition) bool {
	switch condition {
	case Always:
		return true
	case CancelAsked:
		return j.CancelAsked
	case TimedOut:
		return j.Timeout > 0 && j.Ran >= j.Timeout
	case RetriesLeft:
		return j.Failures < j.Retries
	case ResetsLeft:
		return j.Resets < store.MaxResets
	}
	return false
}
