package apiclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/apiclient"
	"github.com/open-executor/executor/internal/frontend/jobsapi/jobsapitest"
	"github.com/open-executor/executor/internal/store"
)

// cutting is a network that breaks off the nth answer after cuts[n] bytes.
type cutting struct {
	http.RoundTripper
	cuts []int
}

func (c *cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	got, err := c.RoundTripper.RoundTrip(r)
	if err == nil && len(c.cuts) > 0 {
		got.Body = &cutBody{got.Body, c.cuts[0]}
		c.cuts = c.cuts[1:]
	}
	return got, err
}

type cutBody struct {
	io.ReadCloser
	left int
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func atOnce(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// TestFollowSurvivesCuts: over a network that cuts streams at any byte, a follower gets every event exactly once: what it gets
// without cuts.
func TestFollowSurvivesCuts(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	spec := jobsapitest.Spec("default")
	spec.Retries = 1
	id := f.Submit(spec)
	run := f.Lease("default")
	run.Step("setup.fs.extras", "", 0)
	run.Step("step.docker.build", "über\nmore\n\nlast\n", 1)
	run.Finish(store.Errored, "step build failed")
	f.Advance(time.Hour)
	run = f.Lease("default")
	run.Open("step.docker.build")
	run.Write(1, "stdout: abc\n")
	run.Rewrite(1, "stdout: def\n")
	run.Finish(store.Complete, "")

	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	history := func(cuts []int) (all []string, end jobs.StateEvent) {
		c := client(t, f.URL, jobsapitest.Token, apiclient.Config{Transport: &cutting{transport, cuts}, Wait: atOnce})
		end, err := c.Follow(t.Context(), id, apiclient.Position{}, func(e apiclient.Event) error {
			all = append(all, e.Name+" "+string(e.Data))
			return nil
		})
		require.NoError(t, err)
		return all, end
	}
	want, end := history(nil)
	require.Len(t, want, 14)
	require.Equal(t, jobs.Completed, end.State)
	rapid.Check(t, func(rt *rapid.T) {
		got, end := history(rapid.SliceOfN(rapid.IntRange(0, 2000), 0, 10).Draw(rt, "cuts"))
		require.Equal(rt, jobs.Completed, end.State)
		require.Equal(rt, want, got)
	})
}

func TestFollowFromAPosition(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	id := f.Submit(jobsapitest.Spec("default"))
	run := f.Lease("default")
	run.Step("step.docker.build", "one\n", 0)
	run.Finish(store.Fail, "no luck")
	c := client(t, f.URL, jobsapitest.Token, apiclient.Config{})
	var text strings.Builder
	end, err := c.Follow(t.Context(), id, apiclient.Position{Attempt: 1, Offset: 8}, func(e apiclient.Event) error {
		if e.Name == jobs.EventOutput {
			text.WriteString(e.Output.Text)
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, jobs.StateEvent{State: jobs.Failed, Reason: "no luck"}, end)
	require.Equal(t, "one\n", text.String())
}

func TestFollowEndsWithItsHandlerAndContext(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	id := f.Submit(jobsapitest.Spec("default"))
	c := client(t, f.URL, jobsapitest.Token, apiclient.Config{})
	full := errors.New("disk full")
	_, err := c.Follow(t.Context(), id, apiclient.Position{}, func(apiclient.Event) error { return full })
	require.Equal(t, full, err)

	interrupted := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err = c.Follow(ctx, id, apiclient.Position{}, func(apiclient.Event) error {
		cancel(interrupted)
		return nil
	})
	require.ErrorIs(t, err, interrupted)
}

// scripted answers the nth request to it by the nth function, and the last one for ever.
func scripted(t *testing.T, answers ...http.HandlerFunc) *httptest.Server {
	t.Helper()
	var count atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers[min(int(count.Add(1)), len(answers))-1](w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

func events(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, text)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprint(w, `{"error":{"code":"some_code","message":"some message"}}`)
	}
}

const (
	queued = "event: state\ndata: {\"state\":\"queued\"}\n\n"
	ended  = "event: end\ndata: {\"state\":\"completed\"}\n\n"
)

// recorder waits at once and remembers how long it should have.
type recorder struct{ waits []time.Duration }

func (r *recorder) wait(ctx context.Context, d time.Duration) error {
	r.waits = append(r.waits, d)
	return ctx.Err()
}

func none(apiclient.Event) error { return nil }

func TestFollowComesBack(t *testing.T) {
	t.Parallel()
	server := scripted(t, events("retry: 500\n\n"+queued), status(503), status(502), events(""), events(queued), events("event: novelty\ndata: {}\n\n"+ended))
	var r recorder
	c := client(t, server.URL, "token", apiclient.Config{Wait: r.wait})
	var names []string
	end, err := c.Follow(t.Context(), 1, apiclient.Position{}, func(e apiclient.Event) error {
		names = append(names, e.Name)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, jobs.Completed, end.State)
	require.Equal(t, []string{"state", "end"}, names, "an event that comes again, and one of a newer frontend, are left out")
	require.Equal(t, []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 500 * time.Millisecond}, r.waits)
}

func TestFollowGivesUp(t *testing.T) {
	t.Parallel()
	var r recorder
	server := scripted(t, events(queued), status(503))
	c := client(t, server.URL, "token", apiclient.Config{Wait: r.wait, GiveUp: time.Minute})
	_, err := c.Follow(t.Context(), 1, apiclient.Position{}, none)
	var unreachable *apiclient.UnreachableError
	require.ErrorAs(t, err, &unreachable)
	require.Contains(t, err.Error(), "given up after 1m0s: some message")
	require.Len(t, r.waits, 7)

	server = scripted(t, events(queued), status(404))
	c = client(t, server.URL, "token", apiclient.Config{Wait: r.wait})
	_, err = c.Follow(t.Context(), 1, apiclient.Position{}, none)
	require.EqualError(t, err, "some message", "a job that is gone won't come back")

	server = scripted(t, events("event: state\ndata: {\n\n"))
	c = client(t, server.URL, "token", apiclient.Config{Wait: r.wait})
	_, err = c.Follow(t.Context(), 1, apiclient.Position{}, none)
	require.ErrorContains(t, err, `an event "state" that can't be read`)
}

func TestSilentStreamCountsAsCut(t *testing.T) {
	t.Parallel()
	silent := func(w http.ResponseWriter, r *http.Request) {
		events(queued)(w, r)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	var r recorder
	server := scripted(t, silent, events(ended))
	c := client(t, server.URL, "token", apiclient.Config{Wait: r.wait, Idle: 20 * time.Millisecond})
	_, err := c.Follow(t.Context(), 1, apiclient.Position{}, none)
	require.NoError(t, err)
	require.Len(t, r.waits, 1)
}
