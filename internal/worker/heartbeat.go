package worker

import (
	"context"
	"time"

	"github.com/sourcegraph/log"
)

// heartbeats renew leases from start to stop, also while no job runs: the frontend sees a living executor.
type heartbeats struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (w *Worker) startHeartbeats() *heartbeats {
	ctx, cancel := context.WithCancel(context.Background())
	h := &heartbeats{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(h.done)
		timer := time.NewTimer(0)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			w.heartbeat(ctx)
			timer.Reset(w.config.HeartbeatInterval)
		}
	}()
	return h
}

func (h *heartbeats) stop() {
	h.cancel()
	<-h.done
}

// heartbeat asks once. A failure changes nothing: the next one may succeed, and the frontend alone decides what is lost.
func (w *Worker) heartbeat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, heartbeatTimeout)
	defer cancel()
	asked := w.running.uids()
	known, stop, err := w.queue.Heartbeat(ctx, asked)
	if err != nil {
		if ctx.Err() != context.Canceled {
			w.logger.Error("heartbeat failed", log.Error(err))
		}
		return
	}
	lost, stopped := w.running.apply(asked, known, stop)
	for _, uid := range lost {
		w.logger.Warn("lease lost, stopping the job", log.String("job", uid))
	}
	for _, uid := range stopped {
		w.logger.Info("job canceled by the frontend", log.String("job", uid))
	}
}
