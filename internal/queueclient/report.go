package queueclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
)

const (
	// reportTimeout is how long a report is repeated; the last try may still be under way then, for requestTimeout more.
	reportTimeout  = 2 * time.Minute
	requestTimeout = 30 * time.Second
	firstBackOff   = 500 * time.Millisecond
	lastBackOff    = 15 * time.Second
)

// clock is injected by tests.
type clock interface {
	Now() time.Time
	// Sleep waits, or returns the context's cause when that ends first.
	Sleep(ctx context.Context, d time.Duration) error
}

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Report tells the end of a job. Failures that may pass are repeated, with growing pauses, for up to 2 min or until ctx ends.
//
// A job that is not this executor's any more gives ErrLeaseLost. When that follows a try whose answer was lost, that try most
// likely ended the job: Report logs this and returns nil.
func (c *Client) Report(ctx context.Context, job api.Job, report api.Report) error {
	call, err := c.reportCall(&job, report)
	if err != nil {
		return err
	}
	deadline := c.clock.Now().Add(reportTimeout)
	uncertain := false
	for backOff := firstBackOff; ; backOff = min(2*backOff, lastBackOff) {
		_, err := c.exchange(ctx, call)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrLeaseLost) && uncertain:
			c.logger.Info("the job's end is not accepted a second time: an earlier report, whose answer was lost, got through", log.Int64("jobID", job.ID), log.Error(err))
			return nil
		case fault.ClassOf(err) != fault.Infrastructure:
			return err
		}
		uncertain = uncertain || mayHaveHappened(err)
		// Half of each pause is random, so that many executors don't come back in step.
		pause := backOff/2 + rand.N(backOff/2)
		if c.clock.Now().Add(pause).After(deadline) {
			return fmt.Errorf("given up after %s: %w", reportTimeout, err)
		}
		c.logger.Warn("reporting a job's end failed, trying again", log.Int64("jobID", job.ID), log.Duration("in", pause), log.Error(err))
		if cause := c.clock.Sleep(ctx, pause); cause != nil {
			return fmt.Errorf("%w; not tried again: %w", err, cause)
		}
	}
}

func (c *Client) reportCall(job *api.Job, report api.Report) (call, error) {
	operation := c.operation(job)
	// Spec section 7.1 names the operations.
	var op string
	var body any = api.MarkErroredRequest{JobOperation: operation, ErrorMessage: report.Message}
	switch report.Result {
	case api.Complete:
		op, body = "MarkComplete", api.MarkCompleteRequest{JobOperation: operation}
	case api.Errored:
		op = "MarkErrored"
	case api.Failed:
		op = "MarkFailed"
	default:
		return call{}, fmt.Errorf("report of job %d: unknown result %q", job.ID, report.Result)
	}
	reporting := c.jobCall(op, job, string(report.Result), body)
	reporting.timeout = requestTimeout
	return reporting, nil
}

// mayHaveHappened reports whether the frontend may have done what a failed request asked for.
func mayHaveHappened(err error) bool {
	var transport *transportError
	if errors.As(err, &transport) {
		return transport.sent
	}
	var status *StatusError
	return errors.As(err, &status) && status.Code >= http.StatusInternalServerError
}
