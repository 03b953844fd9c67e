package owner

import (
	"context"
	"errors"
	"fmt"
)

// Engine removes what a runtime's engine holds under an executor's label.
type Engine struct {
	// Name is what such an executor's Record has as its Engine.
	Name string
	// Remove removes all of it and returns how many things that were. On an error it is called again by a later Sweep.
	Remove func(ctx context.Context, executor string) (int, error)
}

// Sweep removes what executors that no longer live left on this host: their processes, what engine holds of them, and their
// directories, in this order. It returns how many things it removed. A record goes only when all of it is gone; one with
// another engine's things stays for an executor that has this engine. Single failures don't stop it; they are
// returned joined. Several processes may sweep at the same time: each record is swept by one of them.
func Sweep(ctx context.Context, dir string, engine Engine) (int, error) {
	found, err := FindAbandoned(dir)
	failures := []error{err}
	removed := 0
	for _, abandoned := range found {
		n, err := abandoned.sweep(ctx, engine)
		removed += n
		if err != nil {
			failures = append(failures, fmt.Errorf("removing what executor %s left: %w", abandoned.Executor, err))
		}
	}
	return removed, errors.Join(failures...)
}

func (a *Abandoned) sweep(ctx context.Context, engine Engine) (int, error) {
	if ctx.Err() != nil {
		return 0, errors.Join(context.Cause(ctx), a.Release())
	}
	removed, err := KillMarked(ctx, Mark(a.Executor))
	failures := []error{err}
	if a.Engine != "" && a.Engine == engine.Name {
		n, err := engine.Remove(ctx, a.Executor)
		removed += n
		failures = append(failures, err)
	}
	for _, path := range a.Paths {
		err := a.Remove(path)
		failures = append(failures, err)
		if err == nil {
			removed++
		}
	}
	if err := errors.Join(failures...); err != nil || a.Engine != "" && a.Engine != engine.Name {
		return removed, errors.Join(err, a.Release())
	}
	return removed, a.Forget()
}
