package apiclient_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/apiclient"
	"github.com/open-executor/executor/internal/frontend/jobsapi/jobsapitest"
	"github.com/open-executor/executor/internal/store"
)

// client makes a client of its own connections, which end with the test.
func client(t *testing.T, url, token string, config apiclient.Config) *apiclient.Client {
	t.Helper()
	if config.Transport == nil {
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		config.Transport = transport
	}
	c, err := apiclient.New(url, token, config)
	require.NoError(t, err)
	return c
}

func TestCalls(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	c := client(t, f.URL+"/", jobsapitest.Token, apiclient.Config{})
	ctx := t.Context()
	spec := jobsapitest.Spec("default")
	spec.Files = map[string]jobs.File{"binary": {Content: []byte{0, 255}}}
	spec.Secrets = map[string]jobs.Secret{"TOKEN": {Value: "s3cret"}}
	submitted, err := c.Submit(ctx, spec)
	require.NoError(t, err)
	require.Equal(t, spec.Files, submitted.Spec.Files)
	require.Equal(t, map[string]jobs.Secret{"TOKEN": {}}, submitted.Spec.Secrets)

	run := f.Lease("default")
	run.Step("step.docker.build", "ok\n", 0)
	run.Finish(store.Complete, "")
	job, err := c.Job(ctx, submitted.ID)
	require.NoError(t, err)
	require.Equal(t, jobs.Completed, job.State)
	var log strings.Builder
	require.NoError(t, c.Log(ctx, job.ID, 0, &log))
	require.NoError(t, c.Log(ctx, job.ID, 1, &log))
	require.Equal(t, "stdout: ok\nstdout: ok\n", log.String())

	again, err := c.Retry(ctx, job.ID)
	require.NoError(t, err)
	require.Equal(t, job.ID, again.RetryOf)
	canceled, err := c.Cancel(ctx, again.ID)
	require.NoError(t, err)
	require.Equal(t, jobs.Canceled, canceled.State)

	page, err := c.List(ctx, apiclient.Filter{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, again.ID, page.Jobs[0].ID)
	page, err = c.List(ctx, apiclient.Filter{Queue: "default", States: []string{"completed", "failed"}, Cursor: page.Next})
	require.NoError(t, err)
	require.Len(t, page.Jobs, 1)
	require.Equal(t, job.ID, page.Jobs[0].ID)

	queues, err := c.Queues(ctx)
	require.NoError(t, err)
	require.Equal(t, []jobs.Queue{{Name: "default"}}, queues)
	executors, err := c.Executors(ctx)
	require.NoError(t, err)
	require.Empty(t, executors)
}

func TestErrorsOfTheFrontend(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	c := client(t, f.URL, jobsapitest.Token, apiclient.Config{})
	stranger := client(t, f.URL, "wrong", apiclient.Config{})
	for name, test := range map[string]struct {
		call   func() error
		status int
		code   string
	}{
		"missing job": {func() error { _, err := c.Job(t.Context(), 9); return err }, 404, "not_found"},
		"missing log": {func() error { return c.Log(t.Context(), 9, 0, &strings.Builder{}) }, 404, "not_found"},
		"bad filter":  {func() error { _, err := c.List(t.Context(), apiclient.Filter{Limit: -1}); return err }, 400, "invalid_argument"},
		"bad job":     {func() error { _, err := c.Submit(t.Context(), jobs.Spec{}); return err }, 422, "invalid_job"},
		"wrong token": {func() error { _, err := stranger.Queues(t.Context()); return err }, 401, "unauthorized"},
		"missing stream": {func() error {
			_, err := c.Follow(t.Context(), 9, apiclient.Position{}, nil)
			return err
		}, 404, "not_found"},
	} {
		var answered *apiclient.Error
		require.ErrorAs(t, test.call(), &answered, name)
		require.Equal(t, test.status, answered.Status, name)
		require.Equal(t, test.code, answered.Answer.Code, name)
		require.NotEmpty(t, answered.Error(), name)
	}
}

func TestForeignServers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/queues":
			http.Redirect(w, r, "https://example.com/login", http.StatusFound)
		case "/api/v1/executors":
			w.WriteHeader(http.StatusBadGateway)
		default:
			_, _ = w.Write([]byte("<html>welcome</html>"))
		}
	}))
	t.Cleanup(server.Close)
	c := client(t, server.URL, "token", apiclient.Config{})
	_, err := c.Queues(t.Context())
	require.ErrorContains(t, err, "redirects to https://example.com/login")
	_, err = c.Executors(t.Context())
	require.ErrorContains(t, err, "502 Bad Gateway")
	_, err = c.Job(t.Context(), 1)
	require.ErrorContains(t, err, "is the URL that of a frontend?")
	_, err = c.Follow(t.Context(), 1, apiclient.Position{}, nil)
	require.ErrorContains(t, err, "is the URL that of a frontend?")
	require.ErrorContains(t, c.Log(t.Context(), 1, 0, &strings.Builder{}), "is the URL that of a frontend?")
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	c := client(t, url, "token", apiclient.Config{})
	_, err = c.Queues(t.Context())
	var unreachable *apiclient.UnreachableError
	require.ErrorAs(t, err, &unreachable)
	require.Contains(t, err.Error(), "no connection to the frontend at "+url+": dial tcp")
	_, err = c.Follow(t.Context(), 1, apiclient.Position{}, nil)
	require.ErrorAs(t, err, &unreachable, "following doesn't wait for a frontend that was never there")

	stop := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	_, err = c.Queues(ctx)
	require.ErrorIs(t, err, stop)
}

func TestNewRefusesBadURLs(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "127.0.0.1:7080", "ftp://x", "http://", "http://user:pw@x", "http://x?y", "http://x#y", "://"} {
		_, err := apiclient.New(bad, "token", apiclient.Config{})
		require.ErrorContains(t, err, "wants one such as", bad)
	}
}
