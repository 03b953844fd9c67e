package agent

import (
	"context"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/runtime"
)

// reapTime bounds one round of the janitor.
const reapTime = 2 * time.Minute

// janitor removes what dead executors left on this host: at start, and then at every interval.
type janitor struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// startJanitor reaps once, so that leftovers are gone before the first job, and then goes on in the background until stop. The end of
// ctx cuts the first round short: an executor that is told to end does not wait for it.
func startJanitor(ctx context.Context, logger log.Logger, place runtime.Runtime, interval time.Duration) *janitor {
	reap(ctx, logger, place)
	ctx, cancel := context.WithCancel(context.Background())
	j := &janitor{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(j.done)
		if interval <= 0 {
			return
		}
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				reap(ctx, logger, place)
			}
		}
	}()
	return j
}

func (j *janitor) stop() {
	j.cancel()
	<-j.done
}

func reap(ctx context.Context, logger log.Logger, place runtime.Runtime) {
	bound, cancel := context.WithTimeout(ctx, reapTime)
	defer cancel()
	removed, err := place.Reap(bound)
	if removed > 0 {
		logger.Info("removed what earlier executors left on this host", log.Int("things", removed))
	}
	if err != nil && ctx.Err() == nil {
		logger.Error("removing leftovers failed", log.Error(err))
	}
}
