package agent

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/worker"
)

// contact remembers when the frontend last answered; it decorates the worker's queue.
type contact struct {
	worker.Queue
	last atomic.Pointer[time.Time]
	// beat is when the worker last ended a heartbeat, however that ended.
	beat atomic.Pointer[time.Time]
}

// freshFor is how long an answer counts as fresh: three heartbeats and a little.
const freshFor = 20 * time.Second

func (c *contact) touch(err error) {
	if err == nil {
		now := time.Now()
		c.last.Store(&now)
	}
}

// fresh reports whether the frontend has answered lately, and how long ago that was.
func (c *contact) fresh() (bool, time.Duration) {
	last := c.last.Load()
	if last == nil {
		return false, 0
	}
	age := time.Since(*last)
	return age <= freshFor, age
}

func (c *contact) Dequeue(ctx context.Context) (api.Job, bool, error) {
	job, ok, err := c.Queue.Dequeue(ctx)
	c.touch(err)
	return job, ok, err
}

func (c *contact) Heartbeat(ctx context.Context, uids []string) (known, stop []string, err error) {
	known, stop, err = c.Queue.Heartbeat(ctx, uids)
	c.touch(err)
	now := time.Now()
	c.beat.Store(&now)
	return known, stop, err
}

// stuckAfter is how long after a heartbeat the next one must have ended: three times what it takes at most, with the pause before it.
const stuckAfter = time.Minute

// beating returns the watchdog's question: does the worker still send heartbeats? It does so from its start to its end, also while
// it drains, and whether or not the frontend answers: when it doesn't, it is stuck. Time counts from the call.
func (c *contact) beating() (alive func(context.Context) error) {
	began := time.Now()
	c.beat.Store(&began)
	return func(context.Context) error {
		if age := time.Since(*c.beat.Load()); age > stuckAfter {
			return fmt.Errorf("the last heartbeat ended %s ago", age.Round(time.Second))
		}
		return nil
	}
}
