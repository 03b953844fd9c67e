// Package storetest is the conformance suite of stores: a store that passes it can take the place of any other. Third parties
// may run it on stores of their own.
package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
)

// Settings with which stores under test are opened.
const (
	LeaseTime   = 25 * time.Second
	RetryDelay  = 5 * time.Second
	MaxLogBytes = 1 << 20
)

// Factory makes an empty store that uses the clock and the settings above. The suite closes it.
type Factory func(t *testing.T, clock *Clock) store.Store

// Run runs the suite. Each test has a store of its own, and tests run in parallel.
func Run(t *testing.T, factory Factory) {
	tests := map[string]func(t *testing.T, b *bundle){}
	for _, part := range []map[string]func(t *testing.T, b *bundle){jobTests, leaseTests, clockTests, logTests, executorTests, arrowTests()} {
		for name, test := range part {
			tests[name] = test
		}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newBundle(t, factory))
		})
	}
	t.Run("Model", func(t *testing.T) {
		t.Parallel()
		runModel(t, factory)
	})
}

// Clock is a pair of clocks that only the test moves. Safe for concurrent use.
type Clock struct {
	mu      sync.Mutex
	wall    time.Time
	elapsed time.Duration
}

// NewClock returns a clock in 2026.
func NewClock() *Clock {
	return &Clock{wall: time.Date(2026, 3, 14, 15, 9, 26, 535_897_000, time.UTC)}
}

// Now is the wall-clock time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

// Monotonic is the time that passed, which Jump does not change.
func (c *Clock) Monotonic() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.elapsed
}

// Advance lets time pass.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
	c.elapsed += d
}

// Jump sets the wall clock forward or back while no time passes.
func (c *Clock) Jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	require.TestingT
	Helper()
}

// bundle is a store with its clock and short forms of what tests do most.
type bundle struct {
	t     tester
	ctx   context.Context
	store store.Store
	clock *Clock
	// tokens numbers job tokens.
	tokens int
}

func newBundle(t *testing.T, factory Factory) *bundle {
	clock := NewClock()
	b := &bundle{t: t, ctx: t.Context(), store: factory(t, clock), clock: clock}
	t.Cleanup(func() { require.NoError(t, b.store.Close()) })
	return b
}

// spec is a small job of the queue.
func spec(queue string) jobs.Spec {
	return jobs.Spec{Queue: queue, Steps: []jobs.Step{{Key: "0", Image: "debian:12", Run: []string{"true"}}}}
}

func (b *bundle) submit(queue string, changes ...func(*jobs.Spec)) int64 {
	b.t.Helper()
	spec := spec(queue)
	for _, change := range changes {
		change(&spec)
	}
	job, err := b.store.Submit(b.ctx, store.NewJob{Spec: spec})
	require.NoError(b.t, err)
	return job.ID
}

func (b *bundle) job(id int64) store.Job {
	b.t.Helper()
	job, err := b.store.Job(b.ctx, id)
	require.NoError(b.t, err)
	return job
}

// token returns the hash of a token that was never used.
func (b *bundle) token() [32]byte {
	b.tokens++
	return sha256.Sum256([]byte(strconv.Itoa(b.tokens)))
}

func (b *bundle) lease(executor string, queues ...string) store.Lease {
	b.t.Helper()
	lease, err := b.store.Lease(b.ctx, store.LeaseRequest{Queues: queues, Executor: executor, TokenHash: b.token()})
	require.NoError(b.t, err)
	return lease
}

func (b *bundle) requireEmpty(queues ...string) {
	b.t.Helper()
	_, err := b.store.Lease(b.ctx, store.LeaseRequest{Queues: queues, Executor: "nobody", TokenHash: b.token()})
	require.ErrorIs(b.t, err, store.ErrEmpty)
}

func holder(lease store.Lease) store.Holder {
	return store.Holder{JobID: lease.JobID, Queue: lease.Queue, Executor: lease.Executor, Attempt: lease.Attempt}
}

func (b *bundle) finish(lease store.Lease, result store.Result, message string) store.Job {
	b.t.Helper()
	job, err := b.store.Finish(b.ctx, holder(lease), store.Outcome{Result: result, Message: message})
	require.NoError(b.t, err)
	require.Equal(b.t, b.job(lease.JobID), job, "Finish returns the job as it is after the call")
	return job
}

func (b *bundle) cancel(id int64) store.Job {
	b.t.Helper()
	job, err := b.store.Cancel(b.ctx, id)
	require.NoError(b.t, err)
	require.Equal(b.t, b.job(id), job, "Cancel returns the job as it is after the call")
	return job
}

func (b *bundle) expire() []store.Job {
	b.t.Helper()
	changed, err := b.store.Expire(b.ctx)
	require.NoError(b.t, err)
	for _, job := range changed {
		require.Equal(b.t, b.job(job.ID), job, "Expire returns the jobs as they are after the call")
	}
	return changed
}

func (b *bundle) renew(executor string, ids ...int64) (known, stop []int64) {
	b.t.Helper()
	known, stop, err := b.store.Renew(b.ctx, executor, ids)
	require.NoError(b.t, err)
	return known, stop
}

// wrong lists holders that differ from the right one in one point.
func wrong(right store.Holder) map[string]store.Holder {
	list := map[string]store.Holder{"job": right, "queue": right, "executor": right, "attempt before": right, "attempt after": right}
	for point, holder := range list {
		switch point {
		case "job":
			holder.JobID += 1000
		case "queue":
			holder.Queue += "x"
		case "executor":
			holder.Executor += "x"
		case "attempt before":
			holder.Attempt--
			if holder.Attempt == 0 {
				holder.Attempt = -1
			}
		case "attempt after":
			holder.Attempt++
		}
		list[point] = holder
	}
	return list
}

// isOneOf reports whether err is one of the targets.
func isOneOf(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
