package queueclient

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/metrics"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const executorName = "host-1"

var telemetry = api.Telemetry{OS: "linux", Architecture: "amd64", ExecutorVersion: "5.2.0"}

// newClient returns a client of the queue batches at a base URL; change may change its configuration.
func newClient(t *testing.T, baseURL string, httpClient *http.Client, change func(*Config)) *Client {
	t.Helper()
	endpoint, err := url.Parse(baseURL)
	require.NoError(t, err)
	config := Config{
		Endpoint: endpoint, Token: frontendtest.Token, ExecutorName: executorName, Queue: "batches",
		Version: "5.2.0", Telemetry: telemetry, HTTP: httpClient,
	}
	if change != nil {
		change(&config)
	}
	client, err := New(logtest.Scoped(t), config)
	require.NoError(t, err)
	return client
}

// frontendClient returns a frontend and a client of it.
func frontendClient(t *testing.T, change func(*Config)) (*frontendtest.Frontend, *Client) {
	t.Helper()
	frontend := frontendtest.New(t)
	return frontend, newClient(t, frontend.URL(), frontend.HTTP(), change)
}

// answering returns a client of a server that gives everybody one answer.
func answering(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return newClient(t, server.URL, server.Client(), nil)
}

func answer200(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}

func several(config *Config) { config.Queue, config.Queues = "", []string{"codeintel", "batches"} }

// take dequeues the job that must be there.
func take(t *testing.T, client *Client) api.Job {
	t.Helper()
	job, ok, err := client.Dequeue(t.Context())
	require.NoError(t, err)
	require.True(t, ok)
	return job
}

func TestNewRefusesUnusableConfiguration(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no endpoint":   {func(c *Config) { c.Endpoint = nil }, "EXECUTOR_FRONTEND_URL is not set"},
		"no scheme":     {func(c *Config) { c.Endpoint = &url.URL{Path: "frontend"} }, `EXECUTOR_FRONTEND_URL: want http(s)://host[:port], got "frontend"`},
		"wrong scheme":  {func(c *Config) { c.Endpoint.Scheme = "ftp" }, "EXECUTOR_FRONTEND_URL: want http(s)://host[:port]"},
		"no token":      {func(c *Config) { c.Token = "" }, "EXECUTOR_FRONTEND_PASSWORD is not set"},
		"no name":       {func(c *Config) { c.ExecutorName = "" }, "the executor has no name"},
		"no queue":      {func(c *Config) { c.Queue = "" }, "exactly one of EXECUTOR_QUEUE_NAME and EXECUTOR_QUEUE_NAMES"},
		"both queues":   {func(c *Config) { c.Queues = []string{"a"} }, "exactly one of EXECUTOR_QUEUE_NAME and EXECUTOR_QUEUE_NAMES"},
		"unnamed queue": {func(c *Config) { c.Queue, c.Queues = "", []string{"a", ""} }, `EXECUTOR_QUEUE_NAMES has an empty name: "a,"`},
	} {
		config := Config{
			Endpoint: &url.URL{Scheme: "https", Host: "frontend", User: url.UserPassword("u", "hunter2")},
			Token:    "t", ExecutorName: "e", Queue: "batches",
		}
		test.change(&config)
		_, err := New(logtest.Scoped(t), config)
		require.ErrorContains(t, err, test.want, name)
		require.Equal(t, fault.Operator, fault.ClassOf(err), name)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	frontend, client := frontendClient(t, nil)
	frontend.ServeFile("batch-changes", "spec/file", nil)
	id := frontend.Enqueue(api.Job{})
	job := take(t, client)
	perJob := client.ForJob(job)
	require.NoError(t, client.Ping(t.Context()))
	require.NoError(t, client.TestAuth(t.Context()))
	_, err := client.SrcCLIVersion(t.Context())
	require.NoError(t, err)
	_, _, err = client.Heartbeat(t.Context(), nil)
	require.NoError(t, err)
	_, err = perJob.FileExists(t.Context(), "batch-changes", "spec/file")
	require.NoError(t, err)
	file, err := perJob.OpenFile(t.Context(), "batch-changes", "spec/file")
	require.NoError(t, err)
	require.NoError(t, file.Close())
	_, err = perJob.AddEntry(t.Context(), api.ExecutionLogEntry{Key: "k"})
	require.NoError(t, err)
	require.NoError(t, perJob.UpdateEntry(t.Context(), 1, api.ExecutionLogEntry{Key: "k"}))
	require.NoError(t, client.Report(t.Context(), job, api.Report{Result: api.Complete}))

	instance := map[string][]string{"Authorization": {"token-executor " + frontendtest.Token}, "Content-Type": {"application/json"}}
	ofJob := map[string][]string{
		"Authorization": {"Bearer " + job.Token}, "Content-Type": {"application/json"},
		"X-Sourcegraph-Job-Id": {"1"}, "X-Sourcegraph-Executor-Name": {executorName},
	}
	require.EqualValues(t, 1, id)
	var seen []string
	for _, request := range frontend.Requests() {
		seen = append(seen, request.Method+" "+request.Path)
		for _, transport := range []string{"Accept-Encoding", "Content-Length"} {
			request.Header.Del(transport)
		}
		want := instance
		if request.Header.Get("X-Sourcegraph-Job-ID") != "" {
			want = ofJob
		}
		require.Equal(t, http.Header(want), request.Header, request.Path)
	}
	require.Equal(t, []string{
		"POST /.executors/queue/batches/dequeue",
		"POST /.executors/queue/batches/heartbeat",
		"GET /.executors/test/auth",
		"GET /.api/src-cli/version",
		"POST /.executors/queue/batches/heartbeat",
		"HEAD /.executors/files/batch-changes/spec/file",
		"GET /.executors/files/batch-changes/spec/file",
		"POST /.executors/queue/batches/addExecutionLogEntry",
		"POST /.executors/queue/batches/updateExecutionLogEntry",
		"POST /.executors/queue/batches/markComplete",
	}, seen)
	for _, request := range frontend.Requests()[5:] {
		require.NotEmpty(t, request.Header.Get("X-Sourcegraph-Job-ID"), request.Path)
	}
}

func TestJobWithoutTokenUsesTheSharedOne(t *testing.T) {
	t.Parallel()
	frontend, client := frontendClient(t, nil)
	frontend.Enqueue(api.Job{})
	job := take(t, client)
	job.Token = ""
	require.NoError(t, client.Report(t.Context(), job, api.Report{Result: api.Complete}))
	header := frontend.Requests()[1].Header
	require.Equal(t, "token-executor "+frontendtest.Token, header.Get("Authorization"))
	require.Equal(t, "1", header.Get("X-Sourcegraph-Job-ID"))
}

func TestBasePathIsKept(t *testing.T) {
	t.Parallel()
	for base, prefix := range map[string]string{
		"":                              "",
		"/":                             "",
		"/sub/path":                     "/sub/path",
		"/sub/path/":                    "/sub/path",
		"/a%2Fb":                        "/a%2Fb",
		"/sub?query=secret#fragment":    "/sub",
		"/.executors/queue/looks/alike": "/.executors/queue/looks/alike",
	} {
		var seen []string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen = append(seen, r.URL.RequestURI())
			_, _ = w.Write([]byte(`{"version":"5.2.1"}`))
		}))
		t.Cleanup(server.Close)
		client := newClient(t, server.URL+base, server.Client(), nil)
		require.NoError(t, client.TestAuth(t.Context()))
		_, err := client.SrcCLIVersion(t.Context())
		require.NoError(t, err)
		require.NoError(t, client.Ping(t.Context()))
		file, err := client.ForJob(api.Job{ID: 1}).OpenFile(t.Context(), "b", "spec/file name?%2e")
		require.NoError(t, err)
		require.NoError(t, file.Close())
		require.Equal(t, []string{
			prefix + "/.executors/test/auth",
			prefix + "/.api/src-cli/version",
			prefix + "/.executors/queue/batches/heartbeat",
			prefix + "/.executors/files/b/spec/file%20name%3F%252e",
		}, seen, base)
	}
}

func TestPathsFromTheFrontendStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	frontend, client := frontendClient(t, nil)
	for _, key := range []string{"", "../../../.api/graphql", "a/./b", "a//b", "a/"} {
		_, err := client.ForJob(api.Job{ID: 1, Token: "aa"}).OpenFile(t.Context(), "batch-changes", key)
		require.ErrorContains(t, err, "is no path below the frontend", key)
		require.Equal(t, fault.User, fault.ClassOf(err))
	}
	require.Error(t, client.Report(t.Context(), api.Job{ID: 1, Queue: ".."}, api.Report{Result: api.Complete}))
	require.Empty(t, frontend.Requests())
}

func TestExtensions(t *testing.T) {
	t.Parallel()
	frontend, client := frontendClient(t, func(config *Config) { config.Wait = 2500 * time.Millisecond })
	frontend.Enqueue(api.Job{})
	take(t, client)
	require.Equal(t, Extensions{}, client.Extensions(), "the reference says nothing")

	frontend.Advertise("log-chunks", "Attempts")
	frontend.Enqueue(api.Job{})
	take(t, client)
	require.Equal(t, Extensions{Names: []string{"log-chunks", "attempts"}, LongPoll: true}, client.Extensions())
	require.True(t, client.Extensions().Has("attempts"))
	require.False(t, client.Extensions().Has("artifacts"))

	frontend.Advertise("attempts")
	require.NoError(t, client.Ping(t.Context()))
	require.Equal(t, Extensions{Names: []string{"log-chunks", "attempts"}, LongPoll: true}, client.Extensions(), "only dequeues ask")
	for _, request := range frontend.Requests()[:2] {
		require.Equal(t, []string{"wait=2"}, request.Header["Prefer"], "whole seconds")
	}
}

func TestHeartbeatsAskToBeHeldOnlyWhereThatIsKnown(t *testing.T) {
	t.Parallel()
	frontend, client := frontendClient(t, func(config *Config) { config.Wait = time.Second })
	prefer := func(extension string, uids ...string) []string {
		frontend.Advertise(extension)
		frontend.Enqueue(api.Job{})
		take(t, client)
		_, _, err := client.Heartbeat(t.Context(), uids)
		require.NoError(t, err)
		requests := frontend.Requests()
		return requests[len(requests)-1].Header["Prefer"]
	}
	require.Empty(t, prefer("attempts", "1"))
	require.False(t, client.HoldsHeartbeats())
	require.Equal(t, []string{"wait=5"}, prefer("heartbeat-wait", "1"))
	require.True(t, client.HoldsHeartbeats())
	require.Empty(t, prefer("heartbeat-wait"), "without jobs there is nothing to cancel")
}

func TestAdditionsCanBeRecognisedWhereThatIsKnown(t *testing.T) {
	t.Parallel()
	frontend, client := frontendClient(t, func(config *Config) { config.Wait = time.Second })
	key := func(extension string) []string {
		frontend.Advertise(extension)
		frontend.Enqueue(api.Job{})
		job := take(t, client)
		_, err := client.ForJob(job).AddEntry(t.Context(), api.ExecutionLogEntry{Key: "step.docker.a", StartTime: time.Unix(1, 2)})
		require.NoError(t, err)
		requests := frontend.Requests()
		return requests[len(requests)-1].Header["Idempotency-Key"]
	}
	require.Empty(t, key("attempts"))
	require.Equal(t, []string{"step.docker.a@1000000002"}, key("idempotent-log"))
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	frontend, client := frontendClient(t, func(config *Config) { config.Registerer = registry })
	frontend.Enqueue(api.Job{})
	job := take(t, client)
	_, err := client.ForJob(job).OpenFile(t.Context(), "batch-changes", "missing")
	require.Error(t, err)
	_, _, err = client.Heartbeat(t.Context(), []string{"1"})
	require.NoError(t, err)
	require.NoError(t, client.Ping(t.Context()))
	require.NoError(t, client.Report(t.Context(), job, api.Report{Result: api.Failed}))

	text := metrics.NewExposition(logtest.Scoped(t), registry, nil).Text(t.Context())
	for _, line := range []string{
		`src_apiworker_apiclient_queue_total{op="Dequeue"} 1`,
		`src_apiworker_apiclient_queue_total{op="Heartbeat"} 1`,
		`src_apiworker_apiclient_queue_total{op="MarkFailed"} 1`,
		`src_apiworker_apiclient_queue_errors_total{op="MarkFailed"} 0`,
		`src_apiworker_apiclient_queue_duration_seconds_count{op="Dequeue"} 1`,
		`src_apiworker_apiclient_files_total{op="Get"} 1`,
		`src_apiworker_apiclient_files_errors_total{op="Get"} 1`,
	} {
		require.Contains(t, text, line+"\n")
	}
}

func TestInstanceCalls(t *testing.T) {
	t.Parallel()
	frontend, client := frontendClient(t, nil)
	frontend.SetSrcCLIVersion("5.3.7")
	version, err := client.SrcCLIVersion(t.Context())
	require.NoError(t, err)
	require.Equal(t, "5.3.7", version)
	require.NoError(t, client.TestAuth(t.Context()))
	for _, request := range frontend.Requests() {
		require.Equal(t, "null", string(request.Body), request.Path)
	}

	stranger := newClient(t, frontend.URL(), frontend.HTTP(), func(config *Config) { config.Token = "wrong-token" })
	err = stranger.TestAuth(t.Context())
	require.ErrorContains(t, err, "authorization failed: ")
	require.ErrorContains(t, err, "executors.accessToken")
	require.Equal(t, fault.Operator, fault.ClassOf(err))

	frontend.FailNext("/test/auth", http.StatusBadGateway, 1)
	require.ErrorContains(t, client.TestAuth(t.Context()), "failed to validate authorization token: authorization test: unexpected status code 502")

	for body, want := range map[string]string{`{}`: "names none", `<html>`: "malformed answer", ``: "malformed answer"} {
		_, err := answering(t, answer200(body)).SrcCLIVersion(t.Context())
		require.ErrorContains(t, err, want, body)
	}
}
