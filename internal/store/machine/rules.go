package machine

import (
	"fmt"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
)

// TimeoutGrace is how far beyond its timeout an attempt may run before its executor is told to stop it. Our executors watch
// the timeout themselves and report its end within this time; the rule is for those that don't.
const TimeoutGrace = 30 * time.Second

// MaxRetryDelay bounds RetryDelay.
const MaxRetryDelay = 5 * time.Minute

// Stop reports whether the executor of a processing job should end it.
func (j Job) Stop() bool {
	return j.CancelAsked || j.Timeout > 0 && j.Ran >= j.Timeout+TimeoutGrace
}

// RetryDelay is the time between a job's failure and its next attempt: first, doubled for each failure before, bounded by
// MaxRetryDelay.
func RetryDelay(first time.Duration, failuresBefore int) time.Duration {
	delay := max(first, 0)
	for range min(failuresBefore, 64) {
		if delay >= MaxRetryDelay/2 {
			return MaxRetryDelay
		}
		delay *= 2
	}
	return min(delay, MaxRetryDelay)
}

// Attempt is what a reason tells of the attempt that an arrow ends.
type Attempt struct {
	Number   int
	Executor string
	// Message is what the executor said.
	Message string
	// HeardAt is when the executor was last heard of, in UTC.
	HeardAt time.Time
}

// Reason says in plain words why an arrow led the job to its state; empty where the state says it all. The job is as before
// the event.
func (j Job) Reason(arrow Arrow, attempt Attempt) string {
	switch {
	case arrow.Cause == CauseTimeout:
		return "timed out after " + j.Timeout.String()
	case arrow.Event == Cancel && arrow.From == jobs.Queued:
		return "canceled while it waited in its queue"
	case arrow.Event == Cancel && arrow.From == jobs.Errored:
		return "canceled while it waited for its next attempt"
	case arrow.Cause == CauseCompleted && arrow.When == CancelAsked:
		return "canceled; the request came when the executor had already done the work"
	case arrow.Cause == CauseCanceled:
		return "canceled while it ran"
	case arrow.Cause == CauseLost:
		return j.lostReason(arrow, attempt)
	case arrow.Event != Errored && arrow.Event != Fail:
		return ""
	case attempt.Message == "":
		return fmt.Sprintf("executor %q ended attempt %d without saying why", attempt.Executor, attempt.Number)
	}
	return attempt.Message
}

func (j Job) lostReason(arrow Arrow, attempt Attempt) string {
	lost := fmt.Sprintf("executor %q, which ran attempt %d, was last heard of at %s",
		attempt.Executor, attempt.Number, attempt.HeardAt.UTC().Format(time.RFC3339))
	switch arrow.When {
	case CancelAsked:
		return "canceled; " + lost
	case ResetsLeft:
		return lost + "; queued again"
	}
	return fmt.Sprintf("job processor died while handling this message too many times: %s, and %d attempts were lost before", lost, j.Resets)
}
