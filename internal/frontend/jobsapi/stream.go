package jobsapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/frontend/notify"
)

var errStopping = errors.New("the frontend stops")

// stream sends a job's log from a position on as events, and follows it until the job is over, the client goes, or the
// frontend stops.
func (h *Handler) stream(w *answer, r *http.Request, id int64, at position) error {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer context.AfterFunc(h.stopping, func() { cancel(errStopping) })()
	f := follower{store: h.store, out: &eventWriter{w}, job: id, at: at, exited: make(map[int]bool)}
	err := f.out.begin()
	if err == nil && r.Method != http.MethodHead {
		err = h.follow(ctx, &f)
	}
	switch {
	case err != nil && context.Cause(ctx) == errStopping:
		leave(r.Context(), &f)
	case err != nil && !errors.Is(err, errClientGone) && r.Context().Err() == nil:
		h.logger.Error("following a log failed", log.Int64("jobID", id), log.Error(err))
		_ = f.out.comment("internal error; the frontend's log says more")
	}
	return nil
}

// lastLook bounds what a reader is still told when the frontend stops.
const lastLook = 3 * time.Second

// leave tells what came just before the frontend stops; a job's end may be the reason for it. Without an end event, readers come back,
// to the next frontend.
func leave(ctx context.Context, f *follower) {
	ctx, cancel := context.WithTimeout(ctx, lastLook)
	defer cancel()
	if over, err := f.catchUp(ctx); !over && !errors.Is(err, errClientGone) {
		_ = f.out.comment(errStopping.Error())
	}
}

func (h *Handler) follow(ctx context.Context, f *follower) error {
	tick := time.NewTicker(h.config.KeepAlive)
	defer tick.Stop()
	for {
		changed := h.hub.Wait(notify.Job(f.job))
		over, err := f.catchUp(ctx)
		if over || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		case <-tick.C:
			// The look that follows finds changes which another process made.
			if err := f.out.comment("still here"); err != nil {
				return err
			}
		}
	}
}
