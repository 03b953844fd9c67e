package agent

import (
	"context"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/lifecycle"
	"github.com/open-executor/executor/internal/runtime"
)

const (
	// reapTime bounds one round of the janitor.
	reapTime = 2 * time.Minute
	// serverStopTime is how long requests to the debug server may still take at the end.
	serverStopTime = time.Second
)

// janitor removes what dead executors left on this host: at start, and then at every interval.
type janitor struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// startJanitor reaps once, so that leftovers are gone before the first job, and then goes on in the background.
func startJanitor(logger log.Logger, place runtime.Runtime, interval time.Duration) *janitor {
	ctx, cancel := context.WithCancel(context.Background())
	j := &janitor{cancel: cancel, done: make(chan struct{})}
	reap(ctx, logger, place)
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
	ctx, cancel := context.WithTimeout(ctx, reapTime)
	defer cancel()
	removed, err := place.Reap(ctx)
	if removed > 0 {
		logger.Info("removed what earlier executors left on this host", log.Int("things", removed))
	}
	if err != nil && ctx.Err() != context.Canceled {
		logger.Error("removing leftovers failed", log.Error(err))
	}
}

func stopServer(server *lifecycle.HTTPServer) {
	ctx, cancel := context.WithTimeout(context.Background(), serverStopTime)
	defer cancel()
	server.Stop(ctx)
}
