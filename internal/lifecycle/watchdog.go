package lifecycle

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/sourcegraph/log"
)

// signsOfLife is how many signs fit into the time that the manager waits for one: it takes that many failures in a row until the
// process is killed.
const signsOfLife = 3

// Watch gives the service manager signs of life for as long as alive returns nil in time: a process whose alive fails, or hangs, is
// killed and started anew. Alive is asked one call at a time; its context ends when the next sign is due. Stop ends the signs and
// waits for a call that is under way, for as long as its context has left at most. Does nothing when the manager waits for no signs.
func (s *Supervisor) Watch(alive func(context.Context) error) (stop func()) {
	if s.changed == nil || s.patience == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.watch(ctx, s.patience/signsOfLife, alive)
	}()
	return func() {
		cancel()
		timer := time.NewTimer(s.patience / signsOfLife)
		defer timer.Stop()
		select {
		case <-ended:
		case <-timer.C:
		}
	}
}

func (s *Supervisor) watch(ctx context.Context, interval time.Duration, alive func(context.Context) error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		attempt, cancel := context.WithTimeout(ctx, interval)
		err := alive(attempt)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.logger.Error("this process is stuck; without a change it is killed and started anew",
				log.Duration("within", s.patience), log.Error(err))
		default:
			s.say(daemon.SdNotifyWatchdog)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
