package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
	"github.com/open-executor/executor/internal/store/machine"
)

var leaseTests = map[string]func(t *testing.T, b *bundle){
	"LeaseOrder":         leaseOrder,
	"LeaseQueuesInOrder": leaseQueuesInOrder,
	"LeaseNeedsName":     leaseNeedsName,
	"LeaseOnce":          leaseOnce,
	"FinishOnce":         finishOnce,
	"CancelOrFinish":     cancelOrFinish,
	"UnknownResult":      unknownResult,
	"Fencing":            fencing,
	"StaleSelf":          staleSelf,
	"AttemptZero":        attemptZero,
	"Attempts":           attemptsAreKept,
	"RenewKnown":         renewKnown,
	"RenewStops":         renewStops,
	"TimeoutFails":       timeoutFails,
	"TimeoutCompletes":   timeoutCompletes,
	"RetryBackoff":       retryBackoff,
	"ResetsAreBounded":   resetsAreBounded,
	"TokenLife":          tokenLife,
	"TokenOfRetry":       tokenOfNextAttempt,
}

func leaseOrder(t *testing.T, b *bundle) {
	first := b.submit(queue)
	b.clock.Advance(time.Second)
	second := b.submit(queue)
	third := b.submit(queue)
	require.Equal(t, first, b.lease(executor, queue).JobID)
	b.clock.Advance(LeaseTime)
	require.Len(t, b.expire(), 1)
	// A job that is queued again is the last in its queue; at the same time the lower id goes first.
	require.Equal(t, second, b.lease(executor, queue).JobID)
	require.Equal(t, third, b.lease(executor, queue).JobID)
	require.Equal(t, first, b.lease(executor, queue).JobID)
	b.requireEmpty(queue)
}

func leaseQueuesInOrder(t *testing.T, b *bundle) {
	inB := b.submit("b")
	b.clock.Advance(time.Second)
	inA := b.submit("a")
	b.submit("c")
	b.requireEmpty("none")
	b.requireEmpty()
	require.Equal(t, inA, b.lease(executor, "none", "a", "b").JobID)
	lease := b.lease(executor, "none", "a", "b")
	require.Equal(t, inB, lease.JobID)
	require.Equal(t, store.Lease{JobID: inB, Queue: "b", Attempt: 1, Executor: executor, Spec: spec("b")}, lease)
	b.requireEmpty("a", "b")
}

func leaseNeedsName(t *testing.T, b *bundle) {
	b.submit(queue)
	_, err := b.store.Lease(b.ctx, store.LeaseRequest{Queues: []string{queue}, TokenHash: b.token()})
	require.ErrorContains(t, err, "no name")
	require.NotErrorIs(t, err, store.ErrEmpty)
}

// together runs do in n goroutines and waits for them.
func together(n int, do func(i int)) {
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { do(i) })
	}
	group.Wait()
}

func leaseOnce(t *testing.T, b *bundle) {
	const executors, count = 8, 60
	want := make(map[int64]int)
	for range count {
		want[b.submit(queue)] = 1
	}
	taken := make([][]int64, executors)
	failures := make([]error, executors)
	together(executors, func(i int) {
		name := string(rune('a' + i))
		for {
			lease, err := b.store.Lease(b.ctx, store.LeaseRequest{Queues: []string{queue}, Executor: name})
			if err != nil {
				failures[i] = err
				return
			}
			taken[i] = append(taken[i], lease.JobID)
		}
	})
	got := make(map[int64]int)
	for i := range executors {
		require.ErrorIs(t, failures[i], store.ErrEmpty)
		for _, id := range taken[i] {
			got[id]++
			require.Equal(t, string(rune('a'+i)), b.job(id).Executor)
		}
	}
	require.Equal(t, want, got)
}

func finishOnce(t *testing.T, b *bundle) {
	b.submit(queue)
	lease := b.lease(executor, queue)
	results := []store.Result{store.Complete, store.Errored, store.Fail, store.Complete}
	errs := make([]error, len(results))
	together(len(results), func(i int) {
		_, errs[i] = b.store.Finish(b.ctx, holder(lease), store.Outcome{Result: results[i]})
	})
	wins := 0
	for _, err := range errs {
		if err == nil {
			wins++
		} else {
			require.ErrorIs(t, err, store.ErrLeaseLost)
		}
	}
	require.Equal(t, 1, wins)
}

func cancelOrFinish(t *testing.T, b *bundle) {
	for range 10 {
		b.submit(queue)
		lease := b.lease(executor, queue)
		var canceled, finished error
		together(2, func(i int) {
			if i == 0 {
				_, canceled = b.store.Cancel(b.ctx, lease.JobID)
			} else {
				_, finished = b.store.Finish(b.ctx, holder(lease), store.Outcome{Result: store.Complete})
			}
		})
		require.NoError(t, finished)
		want := jobs.Canceled
		if canceled != nil {
			require.ErrorIs(t, canceled, store.ErrFinal)
			want = jobs.Completed
		}
		require.Equal(t, want, b.job(lease.JobID).State, "an acknowledged cancel holds")
	}
}

func unknownResult(t *testing.T, b *bundle) {
	b.submit(queue)
	lease := b.lease(executor, queue)
	before := b.job(lease.JobID)
	_, err := b.store.Finish(b.ctx, holder(lease), store.Outcome{Result: "perfect"})
	require.ErrorContains(t, err, `"perfect"`)
	require.Equal(t, before, b.job(lease.JobID))
}

// requireFenced checks that none of a holder's writes is taken.
func (b *bundle) requireFenced(t *testing.T, stale store.Holder, why string) {
	t.Helper()
	_, err := b.store.Finish(b.ctx, stale, store.Outcome{Result: store.Complete})
	require.ErrorIs(t, err, store.ErrLeaseLost, why)
	_, err = b.store.AddEntry(b.ctx, stale, api.ExecutionLogEntry{Key: "stale"})
	require.ErrorIs(t, err, store.ErrLeaseLost, why)
	err = b.store.UpdateEntry(b.ctx, stale, 1, api.ExecutionLogEntry{Key: "stale"})
	require.ErrorIs(t, err, store.ErrLeaseLost, why)
}

func fencing(t *testing.T, b *bundle) {
	id := b.submit(queue)
	first := b.lease(executor, queue)
	b.addEntry(first, "of the first attempt\n")
	b.clock.Advance(LeaseTime)
	b.expire()
	b.requireFenced(t, holder(first), "the job is queued")

	second := b.lease("executor-2", queue)
	b.addEntry(second, "of the second attempt\n")
	before := b.job(id)
	b.requireFenced(t, holder(first), "another has the lease")
	for point, other := range wrong(holder(second)) {
		b.requireFenced(t, other, point)
	}
	known, stop := b.renew(executor, id)
	require.Empty(t, known)
	require.Empty(t, stop)
	require.Equal(t, before, b.job(id))
	require.Equal(t, "of the second attempt\n", b.log(id, 2))
	require.Len(t, b.entries(id, 2), 1)

	b.finish(second, store.Complete, "")
	b.requireFenced(t, holder(second), "the job is over")
}

func staleSelf(t *testing.T, b *bundle) {
	b.submit(queue)
	first := b.lease(executor, queue)
	b.clock.Advance(LeaseTime)
	b.expire()
	second := b.lease(executor, queue)
	require.Equal(t, 2, second.Attempt)
	b.requireFenced(t, holder(first), "an attempt number fences where the name does not")
	require.Equal(t, jobs.Completed, b.finish(second, store.Complete, "").State)
}

func attemptZero(t *testing.T, b *bundle) {
	b.submit(queue)
	lease := b.lease(executor, queue)
	lease.Attempt = 0
	b.addEntry(lease, "by name only\n")
	require.Equal(t, "by name only\n", b.log(lease.JobID, 1))
	require.Equal(t, jobs.Completed, b.finish(lease, store.Complete, "").State)
	b.requireFenced(t, holder(lease), "the job is over")
}

func attemptsAreKept(t *testing.T, b *bundle) {
	id := b.submit(queue, func(spec *jobs.Spec) { spec.Retries = 1 })
	start := b.clock.Now()
	b.lease("one", queue)
	b.clock.Advance(LeaseTime)
	b.expire()
	lost := b.clock.Now()
	second := b.lease("two", queue)
	b.finish(second, store.Errored, "no space left on device")
	b.clock.Advance(RetryDelay)
	retried := b.clock.Now()
	third := b.lease("three", queue)
	b.clock.Advance(time.Minute)
	over := b.finish(third, store.Complete, "")
	end := b.clock.Now()

	message := over.Attempts[0].Message
	require.Contains(t, message, `"one"`)
	require.Contains(t, message, start.Format(time.RFC3339))
	require.Equal(t, []jobs.Attempt{
		{Number: 1, Executor: "one", StartedAt: start, EndedAt: &lost, Cause: "lost", Message: message},
		{Number: 2, Executor: "two", StartedAt: lost, EndedAt: &lost, Cause: "errored", Message: "no space left on device"},
		{Number: 3, Executor: "three", StartedAt: retried, EndedAt: &end, Cause: "completed"},
	}, over.Attempts)
	require.Equal(t, store.Job{
		ID:         id,
		Queue:      queue,
		State:      jobs.Completed,
		QueuedAt:   lost,
		StartedAt:  retried,
		FinishedAt: end,
		Executor:   "three",
		Failures:   1,
		Resets:     1,
		Attempts:   over.Attempts,
		Spec:       over.Spec,
	}, over)
}

func renewKnown(t *testing.T, b *bundle) {
	b.submit(queue)
	b.submit(queue)
	b.submit(queue)
	mine, theirs, mine2 := b.lease(executor, queue), b.lease("executor-2", queue), b.lease(executor, queue)
	known, stop := b.renew(executor, mine2.JobID, 4711, theirs.JobID, mine.JobID, mine.JobID)
	require.Equal(t, []int64{mine.JobID, mine2.JobID}, known)
	require.Empty(t, stop)
	known, _ = b.renew(executor)
	require.Empty(t, known)

	b.clock.Advance(LeaseTime - time.Second)
	b.renew(executor, mine.JobID)
	b.clock.Advance(time.Second)
	require.Equal(t, []int64{theirs.JobID, mine2.JobID}, ids(b.expire()), "only what is renewed lives on")
	b.clock.Advance(LeaseTime - 2*time.Second)
	require.Empty(t, b.expire())
	b.clock.Advance(time.Second)
	require.Equal(t, []int64{mine.JobID}, ids(b.expire()))
	require.Empty(t, b.expire())
}

func renewStops(t *testing.T, b *bundle) {
	for range 2 {
		b.submit(queue)
	}
	limited := b.submit(queue, func(spec *jobs.Spec) { spec.Timeout = jobs.Duration(timeout) })
	canceled, free := b.lease(executor, queue), b.lease(executor, queue)
	b.lease(executor, queue)
	all := []int64{canceled.JobID, free.JobID, limited}

	b.cancel(canceled.JobID)
	known, stop := b.renew(executor, all...)
	require.Equal(t, all, known)
	require.Equal(t, []int64{canceled.JobID}, stop)

	b.clock.Advance(timeout + machine.TimeoutGrace - time.Second)
	_, stop = b.renew(executor, all...)
	require.Equal(t, []int64{canceled.JobID}, stop)
	b.clock.Advance(time.Second)
	known, stop = b.renew(executor, all...)
	require.Equal(t, all, known)
	require.Equal(t, []int64{canceled.JobID, limited}, stop)
}

func timeoutFails(t *testing.T, b *bundle) {
	for _, result := range []store.Result{store.Errored, store.Fail} {
		b.submit(queue, func(spec *jobs.Spec) { spec.Timeout, spec.Retries = jobs.Duration(timeout), 5 })
		early := b.lease(executor, queue)
		b.clock.Advance(timeout - time.Second)
		require.Equal(t, "too slow", b.finish(early, result, "too slow").Reason, "not yet timed out")

		id := b.submit("late", func(spec *jobs.Spec) { spec.Timeout, spec.Retries = jobs.Duration(timeout), 5 })
		late := b.lease(executor, "late")
		b.clock.Advance(timeout)
		over := b.finish(late, result, "the executor was told to stop")
		require.Equal(t, jobs.Failed, over.State, "a timeout is no cancel and no reason to try again")
		require.Equal(t, "timed out after 10m0s", over.Reason)
		require.Equal(t, "timeout", over.Attempts[0].Cause)
		require.Equal(t, "the executor was told to stop", over.Attempts[0].Message)
		require.Equal(t, id, over.ID)
	}
}

func timeoutCompletes(t *testing.T, b *bundle) {
	b.submit(queue, func(spec *jobs.Spec) { spec.Timeout = jobs.Duration(timeout) })
	lease := b.lease(executor, queue)
	b.clock.Advance(2 * timeout)
	require.Equal(t, jobs.Completed, b.finish(lease, store.Complete, "").State, "nobody asked for the work not to be done")
}

func retryBackoff(t *testing.T, b *bundle) {
	id := b.submit(queue, func(spec *jobs.Spec) { spec.Retries = 3 })
	for i, delay := range []time.Duration{RetryDelay, 2 * RetryDelay, 4 * RetryDelay} {
		lease := b.lease(executor, queue)
		require.Equal(t, i+1, lease.Attempt)
		over := b.finish(lease, store.Errored, "disk full")
		require.Equal(t, jobs.Errored, over.State)
		require.Equal(t, "disk full", over.Reason)
		require.Zero(t, over.FinishedAt)
		b.clock.Advance(delay - time.Millisecond)
		b.requireEmpty(queue)
		b.clock.Advance(time.Millisecond)
	}
	over := b.finish(b.lease(executor, queue), store.Errored, "")
	require.Equal(t, id, over.ID)
	require.Equal(t, jobs.Failed, over.State)
	require.Equal(t, 4, over.Failures)
	require.Contains(t, over.Reason, executor, "a failure without a message says at least whose it is")
}

func resetsAreBounded(t *testing.T, b *bundle) {
	id := b.submit(queue)
	for i := range store.MaxResets + 1 {
		lease := b.lease(executor, queue)
		require.Equal(t, i+1, lease.Attempt)
		b.clock.Advance(LeaseTime)
		require.Equal(t, []int64{id}, ids(b.expire()))
	}
	over := b.job(id)
	require.Equal(t, jobs.Failed, over.State)
	require.Equal(t, store.MaxResets+1, over.Resets)
	require.Zero(t, over.Failures)
	b.requireEmpty(queue)
}

func tokenLife(t *testing.T, b *bundle) {
	ends := map[string]func(lease store.Lease){
		"finish": func(lease store.Lease) { b.finish(lease, store.Complete, "") },
		"retry":  func(lease store.Lease) { b.finish(lease, store.Errored, "") },
		"expiry": func(store.Lease) { b.clock.Advance(LeaseTime); b.expire() },
		"cancel": func(lease store.Lease) { b.cancel(lease.JobID); b.clock.Advance(LeaseTime); b.expire() },
	}
	for name, end := range ends {
		_, err := b.store.Submit(b.ctx, store.NewJob{Spec: fullSpec()})
		require.NoError(t, err)
		hash := b.token()
		lease, err := b.store.Lease(b.ctx, store.LeaseRequest{Queues: []string{"builds"}, Executor: executor, TokenHash: hash})
		require.NoError(t, err)
		found, err := b.store.Token(b.ctx, hash)
		require.NoError(t, err)
		require.Equal(t, lease, found)

		b.clock.Advance(LeaseTime - time.Second)
		b.renew(executor, lease.JobID)
		b.clock.Advance(LeaseTime - time.Second)
		require.Empty(t, b.expire())
		_, err = b.store.Token(b.ctx, hash)
		require.NoError(t, err, "a token lives as long as its lease")

		end(lease)
		_, err = b.store.Token(b.ctx, hash)
		require.ErrorIs(t, err, store.ErrNotFound, name)
		if job := b.job(lease.JobID); !job.State.Final() {
			b.cancel(job.ID)
		}
	}
}

func tokenOfNextAttempt(t *testing.T, b *bundle) {
	b.submit(queue)
	take := func(hash [32]byte) store.Lease {
		lease, err := b.store.Lease(b.ctx, store.LeaseRequest{Queues: []string{queue}, Executor: executor, TokenHash: hash})
		require.NoError(t, err)
		return lease
	}
	old, new := b.token(), b.token()
	take(old)
	b.clock.Advance(LeaseTime)
	b.expire()
	second := take(new)
	_, err := b.store.Token(b.ctx, old)
	require.ErrorIs(t, err, store.ErrNotFound)
	found, err := b.store.Token(b.ctx, new)
	require.NoError(t, err)
	require.Equal(t, second, found)
	require.Equal(t, 2, found.Attempt)
}
