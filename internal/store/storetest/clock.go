package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
)

// Jumps of the wall clock decide nothing (invariant 10 of the project).
var clockTests = map[string]func(t *testing.T, b *bundle){
	"ClockForward": func(t *testing.T, b *bundle) { jump(t, b, time.Hour) },
	"ClockBack":    func(t *testing.T, b *bundle) { jump(t, b, -time.Hour) },
}

func jump(t *testing.T, b *bundle, by time.Duration) {
	waiting := b.submit("other")
	b.submit(queue, func(spec *jobs.Spec) { spec.Timeout, spec.Retries = jobs.Duration(timeout), 1 })
	lease := b.lease(executor, queue)

	b.clock.Jump(by)
	require.Empty(t, b.expire(), "no lease ends by a jump")
	known, stop := b.renew(executor, lease.JobID)
	require.Equal(t, []int64{lease.JobID}, known)
	require.Empty(t, stop, "no timeout ends by a jump")
	later := b.submit("other")
	require.Equal(t, waiting, b.lease("executor-2", "other").JobID, "a jump changes no order")
	require.Equal(t, later, b.lease("executor-2", "other").JobID)

	require.Equal(t, jobs.Errored, b.finish(lease, store.Errored, "disk full").State)
	b.clock.Jump(by)
	b.requireEmpty(queue)
	b.clock.Advance(RetryDelay)
	lease = b.lease(executor, queue)

	b.clock.Jump(-by)
	b.clock.Advance(LeaseTime - time.Second)
	b.renew(executor, lease.JobID)
	b.renew("executor-2", waiting, later)
	b.clock.Jump(by)
	b.clock.Advance(LeaseTime - time.Second)
	require.Empty(t, b.expire())
	b.clock.Advance(time.Second)
	require.Len(t, b.expire(), 3, "leases end by time alone")
}
