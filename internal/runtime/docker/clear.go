package docker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// clearPause is the time between two looks at the containers that are left.
const clearPause = 100 * time.Millisecond

// all chooses every container.
func all(container) bool { return true }

// clear removes the chosen containers among those with the label ("key=value") and returns how many there were. It ends when none
// is left, also when somebody else removes them at the same time, and with an error when some still are after the limit.
func (e *Engine) clear(ctx context.Context, label string, chosen func(container) bool) (int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.limits.clear, fmt.Errorf("not gone after %s", e.limits.clear))
	defer cancel()
	seen := map[string]bool{}
	var last error
	for {
		listed, err := e.list(ctx, label)
		if err != nil {
			return len(seen), errors.Join(err, last)
		}
		var left []string
		for _, c := range listed {
			if chosen(c) {
				seen[c.id] = true
				left = append(left, c.id)
			}
		}
		if len(left) == 0 {
			return len(seen), nil
		}
		last = e.remove(ctx, left...)
		timer := time.NewTimer(clearPause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return len(seen), errors.Join(fmt.Errorf("%d containers are left: %w", len(left), context.Cause(ctx)), last)
		case <-timer.C:
		}
	}
}
