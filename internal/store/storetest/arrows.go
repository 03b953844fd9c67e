package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
	"github.com/open-executor/executor/internal/store/machine"
)

const (
	queue    = "default"
	executor = "executor-1"
	timeout  = 10 * time.Minute
)

// arrowTests walks every arrow of the state machine, and tries every event that a state does not know.
func arrowTests() map[string]func(t *testing.T, b *bundle) {
	tests := make(map[string]func(t *testing.T, b *bundle))
	known := make(map[jobs.State]map[machine.Event]bool)
	for _, arrow := range machine.Arrows() {
		if known[arrow.From] == nil {
			known[arrow.From] = make(map[machine.Event]bool)
		}
		known[arrow.From][arrow.Event] = true
		name := strings.ReplaceAll(fmt.Sprintf("Arrow/%s %s %s", arrow.From, arrow.Event, arrow.When), " ", "_")
		tests[name] = func(t *testing.T, b *bundle) { walk(t, b, arrow) }
	}
	for _, state := range jobs.States() {
		tests["NoArrow/"+string(state)] = func(t *testing.T, b *bundle) {
			for _, event := range machine.Events() {
				if !known[state][event] && event != machine.Submit {
					refuse(t, b, state, event)
				}
			}
		}
	}
	return tests
}

// walk brings a job to the arrow's beginning, lets the event happen and checks all that the arrow promises.
func walk(t *testing.T, b *bundle, arrow machine.Arrow) {
	id := b.bring(arrow.From, arrow.Event, arrow.When)
	var before store.Job
	if id != 0 {
		before = b.job(id)
		require.Equal(t, arrow.From, before.State)
	}
	b.clock.Advance(time.Second)
	if arrow.Event == machine.Lose {
		b.clock.Advance(LeaseTime)
	}
	if id == 0 {
		id = b.submit(queue)
	} else {
		require.NoError(t, b.fire(before, arrow.Event))
	}
	after := b.job(id)

	require.Equal(t, arrow.To, after.State)
	require.Equal(t, before.Cancel || arrow.Event == machine.Cancel, after.Cancel)
	require.Equal(t, before.Failures+count(arrow, machine.Failures), after.Failures)
	require.Equal(t, before.Resets+count(arrow, machine.Resets), after.Resets)
	require.Equal(t, arrow.To.Final(), !after.FinishedAt.IsZero())
	if arrow.To == jobs.Failed || arrow.To == jobs.Canceled || arrow.To == jobs.Errored {
		require.NotEmpty(t, after.Reason, "a job that did not complete says why")
	}
	if arrow.Event == machine.Lease {
		require.Len(t, after.Attempts, len(before.Attempts)+1)
		require.Empty(t, after.Reason)
		require.Equal(t, b.clock.Now(), after.StartedAt)
	} else {
		require.Len(t, after.Attempts, len(before.Attempts))
	}
	if arrow.From == jobs.Processing {
		last := after.Attempts[len(after.Attempts)-1]
		require.Equal(t, string(arrow.Cause), last.Cause)
		require.Equal(t, arrow.Cause != machine.Runs, last.EndedAt != nil)
	}
	if arrow.Cause == machine.CauseTimeout {
		require.Equal(t, "timed out after 10m0s", after.Reason)
	}
	if arrow.Event == machine.Lose && arrow.To == jobs.Failed {
		require.Contains(t, after.Reason, "job processor died while handling this message too many times")
		require.Contains(t, after.Reason, executor)
	}
}

// refuse checks that an event changes nothing about a job in a state that does not know it.
func refuse(t *testing.T, b *bundle, state jobs.State, event machine.Event) {
	id := b.bring(state, event, machine.Always)
	before := b.job(id)
	b.clock.Advance(LeaseTime + time.Second)
	err := b.fire(before, event)
	require.True(t, isOneOf(err, store.ErrFinal, store.ErrLeaseLost, store.ErrEmpty), "%s on a %s job: %v", event, state, err)
	require.Equal(t, before, b.job(id), "%s on a %s job", event, state)
	// A waiting job must not be the next one's neighbour in the queue.
	if !state.Final() {
		_, err := b.store.Cancel(b.ctx, id)
		require.NoError(t, err)
		if state == jobs.Processing {
			_, err := b.store.Finish(b.ctx, current(before), store.Outcome{Result: store.Fail})
			require.NoError(t, err)
		}
	}
}

// bring makes a job in a state such that, for the event, the condition holds.
func (b *bundle) bring(state jobs.State, event machine.Event, when machine.Condition) int64 {
	if state == machine.None {
		return 0
	}
	id := b.submit(queue, func(spec *jobs.Spec) {
		if when == machine.TimedOut {
			spec.Timeout = jobs.Duration(timeout)
		}
		if state == jobs.Errored || when == machine.RetriesLeft {
			spec.Retries = 1
		}
	})
	if state == jobs.Queued {
		return id
	}
	if state == jobs.Canceled {
		b.cancel(id)
		return id
	}
	lease := b.lease(executor, queue)
	switch state {
	case jobs.Completed:
		b.finish(lease, store.Complete, "")
	case jobs.Failed:
		b.finish(lease, store.Fail, "exit code 1")
	case jobs.Errored:
		b.finish(lease, store.Errored, "disk full")
		if event == machine.Lease {
			b.clock.Advance(RetryDelay)
		}
	case jobs.Processing:
		switch {
		case when == machine.CancelAsked:
			b.cancel(id)
		case when == machine.TimedOut:
			b.clock.Advance(timeout)
		case event == machine.Lose && when == machine.Always:
			for range store.MaxResets {
				b.clock.Advance(LeaseTime)
				require.Len(b.t, b.expire(), 1)
				b.lease(executor, queue)
			}
		}
	}
	return id
}

// current names the job's current or last attempt.
func current(job store.Job) store.Holder {
	return store.Holder{JobID: job.ID, Queue: job.Queue, Executor: job.Executor, Attempt: len(job.Attempts)}
}

// fire lets an event happen to a job. What the interface says by an empty answer becomes an error.
func (b *bundle) fire(job store.Job, event machine.Event) error {
	switch event {
	case machine.Cancel:
		_, err := b.store.Cancel(b.ctx, job.ID)
		return err
	case machine.Lease:
		_, err := b.store.Lease(b.ctx, store.LeaseRequest{Queues: []string{job.Queue}, Executor: executor, TokenHash: b.token()})
		return err
	case machine.Renew:
		known, _, err := b.store.Renew(b.ctx, executor, []int64{job.ID})
		if err == nil && len(known) == 0 {
			err = store.ErrLeaseLost
		}
		return err
	case machine.Lose:
		changed, err := b.store.Expire(b.ctx)
		if err == nil && len(changed) == 0 {
			err = store.ErrEmpty
		}
		return err
	}
	_, err := b.store.Finish(b.ctx, current(job), store.Outcome{Result: store.Result(event), Message: "said by the executor"})
	return err
}

func count(arrow machine.Arrow, counter machine.Counter) int {
	if arrow.Counts == counter {
		return 1
	}
	return 0
}
