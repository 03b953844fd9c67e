package queueclient

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// fakeClock stands still except while somebody sleeps.
type fakeClock struct {
	now    time.Time
	sleeps []time.Duration
	// onSleep, when set, decides what a sleep returns.
	onSleep func() error
}

func (c *fakeClock) Now() time.Time { return c.now }

func (c *fakeClock) Sleep(_ context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	c.sleeps = append(c.sleeps, d)
	if c.onSleep != nil {
		return c.onSleep()
	}
	return nil
}

func leasedJob(t *testing.T) (*frontendtest.Frontend, *Client, *fakeClock, api.Job) {
	t.Helper()
	frontend, client := frontendClient(t, nil)
	clock := &fakeClock{now: time.Unix(1000, 0)}
	client.clock = clock
	frontend.Enqueue(api.Job{ID: 42})
	return frontend, client, clock, take(t, client)
}

func TestReports(t *testing.T) {
	t.Parallel()
	for result, test := range map[api.Result]struct{ message, body string }{
		api.Complete: {"", `{"executorName":"host-1","jobId":42}`},
		api.Errored:  {"exit 1", `{"executorName":"host-1","jobId":42,"errorMessage":"exit 1"}`},
		api.Failed:   {"canceled", `{"executorName":"host-1","jobId":42,"errorMessage":"canceled"}`},
	} {
		for name, change := range map[string]func(*Config){"single": nil, "several": several} {
			frontend, client := frontendClient(t, change)
			frontend.Enqueue(api.Job{ID: 42})
			report := api.Report{Result: result, Message: test.message}
			require.NoError(t, client.Report(t.Context(), take(t, client), report), name)
			request := frontend.Requests()[1]
			require.Equal(t, "/.executors/queue/batches/"+string(result), request.Path, name)
			require.Equal(t, test.body, string(request.Body), name)
			got, err := frontend.Result(t.Context(), 42)
			require.NoError(t, err)
			require.Equal(t, report, got)
		}
	}
	_, client, _, job := leasedJob(t)
	require.ErrorContains(t, client.Report(t.Context(), job, api.Report{Result: "shrug"}), `unknown result "shrug"`)
}

func TestReportIsRepeated(t *testing.T) {
	t.Parallel()
	frontend, client, clock, job := leasedJob(t)
	frontend.FailNext("/markErrored", http.StatusInternalServerError, 1)
	frontend.FailNext("/markErrored", http.StatusBadGateway, 1)
	frontend.FailNext("/markErrored", frontendtest.Drop, 1)
	frontend.FailNext("/markErrored", http.StatusTooManyRequests, 1)
	require.NoError(t, client.Report(t.Context(), job, api.Report{Result: api.Errored, Message: "why"}))
	report, err := frontend.Result(t.Context(), 42)
	require.NoError(t, err)
	require.Equal(t, "why", report.Message)

	require.Len(t, clock.sleeps, 4)
	for i, full := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second} {
		require.GreaterOrEqual(t, clock.sleeps[i], full/2)
		require.Less(t, clock.sleeps[i], full)
	}
}

func TestReportGivesUp(t *testing.T) {
	t.Parallel()
	frontend, client, clock, job := leasedJob(t)
	frontend.FailNext("/markComplete", http.StatusServiceUnavailable, 1000)
	err := client.Report(t.Context(), job, api.Report{Result: api.Complete})
	require.ErrorContains(t, err, "given up after 2m0s: markComplete: unexpected status code 503")
	require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
	took := clock.now.Sub(time.Unix(1000, 0))
	require.Greater(t, took, reportTimeout-lastBackOff)
	require.LessOrEqual(t, took, reportTimeout)
	for _, pause := range clock.sleeps {
		require.Less(t, pause, lastBackOff)
	}
}

func TestReportEndsWithItsContext(t *testing.T) {
	t.Parallel()
	frontend, client, clock, job := leasedJob(t)
	frontend.FailNext("/markComplete", http.StatusServiceUnavailable, 1000)
	stopped := errors.New("stopped")
	clock.onSleep = func() error { return stopped }
	err := client.Report(t.Context(), job, api.Report{Result: api.Complete})
	require.ErrorIs(t, err, stopped)
	require.ErrorContains(t, err, "unexpected status code 503")
	require.Len(t, clock.sleeps, 1)
}

func TestReportOfALostLease(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(*api.Job){
		"token ended": func(*api.Job) {},
		"no token":    func(job *api.Job) { job.Token = "" },
	} {
		frontend, client, clock, job := leasedJob(t)
		frontend.Forget(42)
		forget(&job)
		err := client.Report(t.Context(), job, api.Report{Result: api.Complete})
		require.ErrorIs(t, err, ErrLeaseLost, name)
		require.NotEqual(t, fault.Infrastructure, fault.ClassOf(err), "it must not be tried again")
		require.Empty(t, clock.sleeps, name)
	}
}

// TestReportThatGotThrough: the frontend ends the job, its answer is lost, and it refuses the second try.
func TestReportThatGotThrough(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(*api.Job){
		"401": func(*api.Job) {},
		"404": func(job *api.Job) { job.Token = "" },
	} {
		frontend, client, clock, job := leasedJob(t)
		logger, logs := logtest.Captured(t)
		client.logger = logger
		forget(&job)
		frontend.FailNext("/markComplete", frontendtest.DropAnswer, 1)
		require.NoError(t, client.Report(t.Context(), job, api.Report{Result: api.Complete}), name)
		require.Len(t, clock.sleeps, 1)
		messages := logs().Messages()
		require.Contains(t, messages[len(messages)-1], "an earlier report, whose answer was lost, got through")
	}
}

// TestReportThatWasNeverSeen: a try that did not reach the frontend can't have ended the job.
func TestReportThatWasNeverSeen(t *testing.T) {
	t.Parallel()
	frontend, client, clock, job := leasedJob(t)
	frontend.Forget(42)
	unreachable := *client.config.Endpoint
	reachable := unreachable
	// Nobody listens on port 0.
	unreachable.Host = "127.0.0.1:0"
	client.config.Endpoint = &unreachable
	clock.onSleep = func() error {
		client.config.Endpoint = &reachable
		return nil
	}
	require.ErrorIs(t, client.Report(t.Context(), job, api.Report{Result: api.Complete}), ErrLeaseLost)
	require.Len(t, clock.sleeps, 1)
}

func TestFinalRefusalsAreNotRepeated(t *testing.T) {
	t.Parallel()
	for status, class := range map[int]fault.Class{
		http.StatusBadRequest:            fault.User,
		http.StatusConflict:              fault.User,
		http.StatusRequestEntityTooLarge: fault.User,
		http.StatusTemporaryRedirect:     fault.Operator,
	} {
		frontend, client, clock, job := leasedJob(t)
		frontend.FailNext("/markComplete", status, 1)
		err := client.Report(t.Context(), job, api.Report{Result: api.Complete})
		var refusal *StatusError
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, status, refusal.Code)
		require.Equal(t, class, fault.ClassOf(err), status)
		require.Empty(t, clock.sleeps, status)
	}
}

func TestRealClock(t *testing.T) {
	t.Parallel()
	require.NoError(t, realClock{}.Sleep(t.Context(), time.Nanosecond))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("over"))
	require.EqualError(t, realClock{}.Sleep(ctx, time.Hour), "over")
	require.WithinDuration(t, time.Now(), realClock{}.Now(), time.Minute)
}
