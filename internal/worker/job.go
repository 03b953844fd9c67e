package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
)

// DeadlineError is the cause of a context that ended because the job took too long.
type DeadlineError struct {
	// Limit is the time that the job had.
	Limit time.Duration
}

func (e *DeadlineError) Error() string {
	return fmt.Sprintf("deadline of %s exceeded", e.Limit)
}

// Is makes the error one of context.DeadlineExceeded's kind.
func (e *DeadlineError) Is(target error) bool { return target == context.DeadlineExceeded }

// runJob runs one job from its first heartbeat to its report. Admitted is called once heartbeats name it, or never will.
func (w *Worker) runJob(resumed Resumed, admitted func()) {
	job := resumed.Job
	logger := w.logger.With(log.Int64("jobID", job.ID), log.String("repositoryName", job.RepositoryName), log.String("commit", job.Commit))
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	defer context.AfterFunc(w.stop, func() { cancel(runtime.ErrShutdown) })()

	uid := job.UID()
	entry, err := w.admit(ctx, uid, cancel)
	admitted()
	if err != nil {
		w.report(ctx, logger, job, reportOf(err, err))
		return
	}
	defer w.running.remove(uid)
	if resumed.Began.IsZero() {
		resumed.Began = time.Now()
	}
	if limit := w.limit(job); limit > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadlineCause(ctx, resumed.Began.Add(limit), &DeadlineError{limit})
		defer stop()
	}
	done := w.config.Metrics.handling()
	err = resumed.Handle(ctx)
	done(err)
	if !w.running.end(entry) || errors.Is(err, runtime.ErrLeaseLost) {
		logger.Warn("job ended without a lease, its result is dropped", log.Error(err))
		return
	}
	w.report(ctx, logger, job, reportOf(context.Cause(ctx), err))
}

// report tells the frontend. It must get through whatever ended the job; the queue bounds its own retries, and a stop shortens them.
func (w *Worker) report(ctx context.Context, logger log.Logger, job api.Job, report api.Report) {
	logger.Info("job ended", log.String("result", string(report.Result)), log.String("message", report.Message))
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(w.stop, func() {
		time.AfterFunc(stopReportTime, func() { cancel(runtime.ErrShutdown) })
	})()
	if err := w.queue.Report(ctx, job, report); err != nil {
		logger.Error("reporting the job's end failed; the frontend will find it stalled", log.Error(err))
	}
}

// admit enters the job into the running set. When the frontend hands out a job whose earlier attempt is still being torn down
// here, the new attempt waits for that: running both would let them share names and labels.
func (w *Worker) admit(ctx context.Context, uid string, cancel context.CancelCauseFunc) (*runningJob, error) {
	for {
		entry, earlier := w.running.add(uid, cancel)
		if earlier == nil {
			return entry, nil
		}
		w.logger.Warn("job already exists, waiting for its earlier attempt to end", log.String("job", uid))
		earlier.cancel(runtime.ErrLeaseLost)
		select {
		case <-earlier.gone:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// limit is the smaller of the executor's and the job's own time limit; 0 means none.
func (w *Worker) limit(job api.Job) time.Duration {
	limit := w.config.MaxRuntime
	if job.Timeout > 0 && (limit <= 0 || job.Timeout < limit) {
		limit = job.Timeout
	}
	return limit
}

// reportOf decides what is reported (spec section 4.5).
func reportOf(cause, err error) api.Report {
	var deadline *DeadlineError
	switch {
	case err == nil:
		return api.Report{Result: api.Complete}
	case errors.Is(cause, runtime.ErrCanceled):
		return api.Report{Result: api.Failed, Message: err.Error()}
	case errors.As(cause, &deadline):
		return api.Report{Result: api.Errored, Message: fmt.Sprintf("job exceeded maximum execution time of %s: %s", deadline.Limit, err)}
	case fault.ClassOf(err) == fault.User:
		return api.Report{Result: api.Failed, Message: err.Error()}
	}
	return api.Report{Result: api.Errored, Message: err.Error()}
}
