package agent

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/sourcegraph/log"
)

const (
	pingInterval = time.Second
	pingTimeout  = 10 * time.Second
	// quietTime is how long "connection refused" isn't logged: frontend and executors often start together.
	quietTime = time.Minute
)

// awaitFrontend pings once per second until the frontend answers (spec section 1.1). It returns ctx's cause when that ends first.
func awaitFrontend(ctx context.Context, logger log.Logger, ping func(context.Context) error) error {
	began := time.Now()
	for {
		attempt, cancel := context.WithTimeout(ctx, pingTimeout)
		err := ping(attempt)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Since(began) > quietTime {
			logger.Error("frontend does not answer the ping yet", log.Error(err))
		}
		timer := time.NewTimer(pingInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}
