package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
)

// RunPersistent runs the part of the suite that closes a store and opens it again. The factory opens the store that is kept in
// dir, with Run's settings.
func RunPersistent(t *testing.T, factory func(t *testing.T, dir string, clock *Clock) store.Store) {
	for name, test := range map[string]func(t *testing.T, b *bundle, reopen func()){
		"Everything":    everythingPersists,
		"Leases":        leasesOutliveRestart,
		"RetryDelay":    retryDelayOutlivesRestart,
		"QueueOrder":    orderOutlivesRestart,
		"CallsAreEnded": callsAfterClose,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			b := newBundle(t, func(t *testing.T, clock *Clock) store.Store { return factory(t, dir, clock) })
			test(t, b, func() {
				require.NoError(t, b.store.Close())
				b.store = factory(t, dir, b.clock)
			})
		})
	}
}

// contents is all that a store tells of a job.
func (b *bundle) contents(id int64) []any {
	job := b.job(id)
	all := []any{job}
	for _, attempt := range job.Attempts {
		all = append(all, b.entries(id, attempt.Number), b.pieces(id, attempt.Number, 0, 1000))
	}
	executors, err := b.store.Executors(b.ctx)
	require.NoError(b.t, err)
	queues, err := b.store.Queues(b.ctx)
	require.NoError(b.t, err)
	return append(all, executors, queues)
}

func everythingPersists(t *testing.T, b *bundle, reopen func()) {
	require.NoError(t, b.store.Seen(b.ctx, store.Executor{Name: executor, Queues: []string{"builds"}, Telemetry: api.Telemetry{OS: "linux"}}))
	submitted, err := b.store.Submit(b.ctx, store.NewJob{Spec: fullSpec()})
	require.NoError(t, err)
	lease := b.lease(executor, "builds")
	b.addEntry(lease, "one\n")
	b.finish(lease, store.Errored, "disk full")
	b.clock.Advance(RetryDelay)
	lease = b.lease(executor, "builds")
	entry := b.addEntry(lease, "two\n")
	b.cancel(submitted.ID)
	before := b.contents(submitted.ID)

	reopen()
	require.Equal(t, before, b.contents(submitted.ID))
	b.updateEntry(lease, entry, "two\nthree\n")
	require.Equal(t, "two\nthree\n", b.log(submitted.ID, 2), "an update goes on where it was")
	require.Equal(t, jobs.Canceled, b.finish(lease, store.Fail, "").State)
	after := b.contents(submitted.ID)
	reopen()
	require.Equal(t, after, b.contents(submitted.ID))
	require.Greater(t, b.submit(queue), submitted.ID)
}

func leasesOutliveRestart(t *testing.T, b *bundle, reopen func()) {
	b.submit(queue, func(spec *jobs.Spec) { spec.Timeout = jobs.Duration(timeout) })
	hash := b.token()
	lease, err := b.store.Lease(b.ctx, store.LeaseRequest{Queues: []string{queue}, Executor: executor, TokenHash: hash})
	require.NoError(t, err)
	for _, jump := range []time.Duration{0, time.Hour, -2 * time.Hour} {
		b.clock.Advance(LeaseTime - time.Second)
		b.running("other")
		b.clock.Jump(jump)
		reopen()
		require.Empty(t, b.expire())
		b.clock.Advance(LeaseTime - time.Second)
		require.Empty(t, b.expire(), "after a restart a lease has its full time")
		found, err := b.store.Token(b.ctx, hash)
		require.NoError(t, err)
		require.Equal(t, lease, found)
		known, stop := b.renew(executor, lease.JobID)
		require.Equal(t, []int64{lease.JobID}, known)
		require.Empty(t, stop)
		b.clock.Advance(time.Second)
		require.Len(t, b.expire(), 1, "the other job's lease was not renewed")
	}
	b.clock.Advance(time.Hour)
	reopen()
	b.clock.Advance(LeaseTime)
	require.Equal(t, []int64{lease.JobID}, ids(b.expire()))
}

func retryDelayOutlivesRestart(t *testing.T, b *bundle, reopen func()) {
	b.clock.Advance(24 * time.Hour)
	b.submit(queue, func(spec *jobs.Spec) { spec.Retries = 1 })
	b.finish(b.lease(executor, queue), store.Errored, "disk full")
	reopen()
	b.requireEmpty(queue)
	b.clock.Advance(RetryDelay)
	require.Equal(t, 2, b.lease(executor, queue).Attempt, "a long life before the restart makes no delay longer")
}

func orderOutlivesRestart(t *testing.T, b *bundle, reopen func()) {
	b.clock.Advance(24 * time.Hour)
	first := b.submit(queue)
	b.clock.Jump(-time.Hour)
	reopen()
	second := b.submit(queue)
	require.Equal(t, first, b.lease(executor, queue).JobID)
	require.Equal(t, second, b.lease(executor, queue).JobID)
}

func callsAfterClose(t *testing.T, b *bundle, reopen func()) {
	id := b.submit(queue)
	require.NoError(t, b.store.Close())
	_, err := b.store.Job(b.ctx, id)
	require.ErrorContains(t, err, "closed")
	_, err = b.store.Cancel(b.ctx, id)
	require.ErrorContains(t, err, "closed")
	reopen()
	require.Equal(t, jobs.Queued, b.job(id).State)
}
