package dispatch

import (
	"context"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/store"
)

// SweepInterval is how often lost leases are looked for. With the store's lease time of 25 s a stalled job is found within 30 s.
const SweepInterval = 5 * time.Second

// sweepTimeout bounds one sweep, so that a stuck store shows up in the log instead of stopping the sweeper silently.
const sweepTimeout = 30 * time.Second

// Expirer ends leases that nobody renewed; store.Store has it.
type Expirer interface {
	Expire(ctx context.Context) ([]store.Job, error)
}

// Sweeper puts back the jobs of executors that died, and wakes those who wait for them.
type Sweeper struct {
	logger log.Logger
	leases Expirer
	hub    *notify.Hub
}

// NewSweeper makes a sweeper; Run starts it.
func NewSweeper(logger log.Logger, leases Expirer, hub *notify.Hub) *Sweeper {
	return &Sweeper{logger: logger, leases: leases, hub: hub}
}

// Run sweeps at every tick until the context ends. An error is logged, and the next tick tries again.
func (s *Sweeper) Run(ctx context.Context, ticks <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
			s.sweep(ctx)
		}
	}
}

func (s *Sweeper) sweep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	changed, err := s.leases.Expire(ctx)
	if err != nil && ctx.Err() != context.Canceled {
		s.logger.Error("looking for lost leases failed; the next sweep tries again", log.Error(err))
	}
	for _, job := range changed {
		s.logger.Warn("lease lost: the executor stopped renewing it",
			log.Int64("jobID", job.ID), log.String("queue", job.Queue), log.String("executor", job.Executor),
			log.String("state", string(job.State)), log.Int("resets", job.Resets))
		Announce(s.hub, job)
	}
}

// Announce wakes the readers of a job that changed, and, when it is due again, the executors that wait for its queue.
func Announce(hub *notify.Hub, job store.Job) {
	hub.Wake(notify.Job(job.ID))
	if job.State == jobs.Queued || job.State == jobs.Errored {
		hub.Wake(notify.Queue(job.Queue))
	}
}
