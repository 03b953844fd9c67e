package worker

import (
	"context"
	"time"

	"github.com/sourcegraph/log"
)

// stoppingBeats is how many heartbeats fit into an interval while a job is being stopped that a frontend would hold heartbeats for.
const stoppingBeats = 10

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
			case <-w.beat:
			case <-timer.C:
			}
			timer.Reset(w.heartbeat(ctx))
		}
	}()
	return h
}

func (h *heartbeats) stop() {
	h.cancel()
	<-h.done
}

// beatNow brings the next heartbeat forward when the frontend would hold it: a cancel then reaches a job that has just begun
// without delay, too. Other frontends get heartbeats at the fixed interval.
func (w *Worker) beatNow() {
	if !w.queue.HoldsHeartbeats() {
		return
	}
	select {
	case w.beat <- struct{}{}:
	default:
	}
}

// outdate ends a held heartbeat when the next one is wanted now, since it doesn't name the job that has begun meanwhile. The
// function that it returns ends the watching.
func (w *Worker) outdate(cancel context.CancelFunc) (end func()) {
	ended, watching := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watching)
		select {
		case <-ended:
		case <-w.beat:
			w.beatNow()
			cancel()
		}
	}()
	return func() {
		close(ended)
		<-watching
	}
}

// heartbeat asks once and returns the pause until the next time. A failure changes nothing: the next one may succeed, and the
// frontend alone decides what is lost.
func (w *Worker) heartbeat(ctx context.Context) (pause time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, heartbeatTimeout)
	defer cancel()
	began := time.Now()
	asked := w.running.uids()
	held := len(asked) > 0 && w.queue.HoldsHeartbeats()
	if held {
		defer w.outdate(cancel)()
	}
	known, stop, err := w.queue.Heartbeat(ctx, asked)
	if err != nil {
		if ctx.Err() != context.Canceled {
			w.logger.Error("heartbeat failed", log.Error(err))
		}
		return w.config.HeartbeatInterval
	}
	lost, stopped := w.running.apply(asked, known, stop)
	for _, uid := range lost {
		w.logger.Warn("lease lost, stopping the job", log.String("job", uid))
	}
	for _, uid := range stopped {
		w.logger.Info("job canceled by the frontend", log.String("job", uid))
	}
	switch {
	case !held:
		return w.config.HeartbeatInterval
	case len(stop) > 0:
		// Answered at once until the jobs to stop are gone: the next one to be stopped must not wait for a whole interval.
		return w.config.HeartbeatInterval / stoppingBeats
	case time.Since(began) >= w.config.HeartbeatInterval/2:
		// It was held: all the pause that is needed has passed.
		return 0
	}
	return w.config.HeartbeatInterval
}
