package machine

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
)

// every yields a job for each combination of state and conditions.
func every(yield func(Job)) {
	for _, state := range append(jobs.States(), None) {
		for bits := range 16 {
			job := Job{State: state, CancelAsked: bits&1 != 0, Timeout: time.Minute, Resets: store.MaxResets}
			if bits&2 != 0 {
				job.Ran = time.Minute
			}
			if bits&4 != 0 {
				job.Retries = 1
			}
			if bits&8 != 0 {
				job.Resets--
			}
			yield(job)
		}
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	taken := make(map[Arrow]bool)
	every(func(job Job) {
		for _, event := range Events() {
			arrow, ok := Next(job, event)
			about := fmt.Sprintf("%+v %s", job, event)
			if !ok {
				require.Zero(t, arrow, about)
				continue
			}
			taken[arrow] = true
			require.False(t, job.State.Final(), "%s leaves a final state", about)
			require.Equal(t, job.State, arrow.From, about)
			require.Equal(t, event, arrow.Event, about)
			ends := job.State == jobs.Processing && event != Renew && event != Cancel
			require.Equal(t, ends, arrow.Cause != Runs, "%s: an attempt that ends has a cause", about)
			if ends && job.CancelAsked {
				require.Equal(t, jobs.Canceled, arrow.To, "%s: an acknowledged cancel holds", about)
			}
			if ends && !job.CancelAsked {
				require.NotEqual(t, jobs.Canceled, arrow.To, "%s: nobody asked for a cancel", about)
			}
		}
	})
	for _, arrow := range Arrows() {
		require.True(t, taken[arrow], "no job ever takes %+v", arrow)
	}
	require.Len(t, taken, len(Arrows()))
}

func TestEveryStateHasAWayOut(t *testing.T) {
	t.Parallel()
	for _, state := range jobs.States() {
		_, ok := Next(Job{State: state}, Cancel)
		require.Equal(t, !state.Final(), ok, state)
	}
}

func TestArrowsIsACopy(t *testing.T) {
	t.Parallel()
	Arrows()[0].To = jobs.Failed
	require.Equal(t, jobs.Queued, Arrows()[0].To)
}

func TestUnknownConditionNeverHolds(t *testing.T) {
	t.Parallel()
	require.False(t, Job{}.meets("full moon"))
}

func TestTimedOutNeedsATimeout(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		timeout, ran time.Duration
		late, stop   bool
	}{
		{0, time.Hour, false, false},
		{time.Minute, time.Minute - 1, false, false},
		{time.Minute, time.Minute, true, false},
		{time.Minute, time.Minute + TimeoutGrace - 1, true, false},
		{time.Minute, time.Minute + TimeoutGrace, true, true},
		{time.Minute, -time.Hour, false, false},
	} {
		job := Job{State: jobs.Processing, Timeout: test.timeout, Ran: test.ran}
		require.Equal(t, test.late, job.meets(TimedOut), test)
		require.Equal(t, test.stop, job.Stop(), test)
		job.CancelAsked = true
		require.True(t, job.Stop(), test)
	}
}

func TestRetryDelay(t *testing.T) {
	t.Parallel()
	for failures, want := range []time.Duration{5, 10, 20, 40, 80, 160, 300, 300, 300} {
		require.Equal(t, want*time.Second, RetryDelay(5*time.Second, failures))
	}
	require.Equal(t, MaxRetryDelay, RetryDelay(time.Second, 1<<40), "never overflows")
	require.Equal(t, MaxRetryDelay, RetryDelay(time.Hour, 0))
	require.Zero(t, RetryDelay(0, 1<<40))
	require.Zero(t, RetryDelay(-time.Second, 3))
}

func TestReason(t *testing.T) {
	t.Parallel()
	attempt := Attempt{Number: 4, Executor: "e1", Message: "exit code 1", HeardAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	heard := `executor "e1", which ran attempt 4, was last heard of at 2026-01-02T03:04:05Z`
	for _, test := range []struct {
		job   Job
		event Event
		want  string
	}{
		{Job{State: jobs.Queued}, Lease, ""},
		{Job{State: jobs.Queued}, Cancel, "canceled while it waited in its queue"},
		{Job{State: jobs.Errored}, Cancel, "canceled while it waited for its next attempt"},
		{Job{State: jobs.Processing}, Cancel, ""},
		{Job{State: jobs.Processing}, Complete, ""},
		{Job{State: jobs.Processing, CancelAsked: true}, Complete, "canceled; the request came when the executor had already done the work"},
		{Job{State: jobs.Processing, CancelAsked: true}, Errored, "canceled while it ran"},
		{Job{State: jobs.Processing, CancelAsked: true}, Fail, "canceled while it ran"},
		{Job{State: jobs.Processing, Retries: 1}, Errored, "exit code 1"},
		{Job{State: jobs.Processing}, Fail, "exit code 1"},
		{Job{State: jobs.Processing, Timeout: 90 * time.Second, Ran: 2 * time.Minute}, Fail, "timed out after 1m30s"},
		{Job{State: jobs.Processing, CancelAsked: true}, Lose, "canceled; " + heard},
		{Job{State: jobs.Processing}, Lose, heard + "; queued again"},
		{Job{State: jobs.Processing, Resets: 3}, Lose,
			"job processor died while handling this message too many times: " + heard + ", and 3 attempts were lost before"},
	} {
		arrow, ok := Next(test.job, test.event)
		require.True(t, ok)
		require.Equal(t, test.want, test.job.Reason(arrow, attempt), arrow)
	}
	attempt.Message = ""
	arrow, _ := Next(Job{State: jobs.Processing}, Fail)
	require.Equal(t, `executor "e1" ended attempt 4 without saying why`, Job{}.Reason(arrow, attempt))
}
