package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/runtime/host"
)

const (
	// lateStarts is the time to wait before looking again for a container that the engine may make although the client that
	// asked for it is dead. One that comes still later is found when the session closes, or by Reap.
	lateStarts = 300 * time.Millisecond
	// drain is what the client gets to pass on the last output of a container that was killed.
	drain = time.Second
)

// containerRun is one container from its start to its end.
type containerRun struct {
	session *session
	name    string
	image   string
	started time.Time
	heard   heard
	// stopped is true when the context ended while the client ran, seen when the container ran by then.
	stopped, seen bool
}

// stop ends the container: SIGTERM, the grace period, SIGKILL. The client is not a handle on it: killed, it leaves the container
// running. A client whose container does not run yet is left no time to start it.
func (c *containerRun) stop(ctx context.Context, exited <-chan struct{}) {
	c.stopped = true
	engine := c.session.runtime.engine
	c.seen = engine.terminate(ctx, c.name) == nil
	if c.seen && wait(exited, c.session.options.Grace) {
		return
	}
	// It ignores SIGTERM, it does not run yet, or the engine doesn't answer. What is left shows in done.
	_ = engine.remove(ctx, c.name)
	if c.seen {
		wait(exited, drain)
	}
}

// wait returns whether exited was closed within the time.
func wait(exited <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-exited:
		return true
	case <-timer.C:
		return false
	}
}

// done makes sure that nothing is left of the container and says in the log why it ended, unless it did so by itself.
func (c *containerRun) done(ctx context.Context, entry command.Entry, err error) error {
	if err == nil {
		return nil
	}
	unbound := context.WithoutCancel(ctx)
	var exit *command.ExitError
	switch {
	case !errors.As(err, &exit):
		if ctx.Err() != nil {
			host.Note(entry, host.StopReason(ctx))
		}
	default:
		if reason := c.diagnose(unbound, exit.Code); reason != "" {
			host.Note(entry, reason)
			err = fmt.Errorf("%s: %w", host.OneLine(reason), err)
		}
	}
	if clearErr := c.clear(unbound, exit); clearErr != nil {
		host.Note(entry, fmt.Sprintf("The step's container could not be removed: %s.", host.OneLine(clearErr.Error())))
	}
	return err
}

// clear removes the container when the client ended otherwise than with the container: a client that saw its end has seen its
// removal.
func (c *containerRun) clear(ctx context.Context, exit *command.ExitError) error {
	if !c.stopped && (exit == nil || exit.Code >= 0 && exit.Code != codeRefused) {
		return nil
	}
	engine, label := c.session.runtime.engine, c.session.label()
	removed, err := engine.clear(ctx, label, all)
	if err != nil || removed > 0 || !c.stopped || c.seen {
		return err
	}
	// The client may have been killed before the engine had made the container that it asked for.
	timer := time.NewTimer(lateStarts)
	defer timer.Stop()
	<-timer.C
	_, err = engine.clear(ctx, label, all)
	return err
}
