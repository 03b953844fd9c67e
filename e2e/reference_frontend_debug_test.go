//go:build e2e

package e2e

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// debugURL waits for an executor's debug server and returns where it listens.
func debugURL(executor *harness.Process) string {
	return "http://" + regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(executor.AwaitOutput("debug server is up"))
}

func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(harness.Context(t), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(read)
}

// The metrics of spec section 7.1, at the executor and, by way of heartbeats, at the frontend.
func TestReferenceFrontendExecutorTellsItsMetrics(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	dir, commit := repository(t)
	frontend.ServeGit("my/repo", dir)
	frontend.ServeFile("bucket", "key", []byte("content"))
	executor := startAt(t, frontend.URL(), "EXECUTOR_DEBUG_ADDR=127.0.0.1:0")
	job := step("true")
	job.RepositoryName, job.Commit = "my/repo", commit
	job.SparseCheckout = []string{"docs/*"}
	job.Files = map[string]api.File{"file": {Bucket: "bucket", Key: "key"}}
	require.Equal(t, complete, result(t, frontend, frontend.Enqueue(job)))
	require.Equal(t, api.Errored, result(t, frontend, frontend.Enqueue(step("false"))).Result)

	debug := debugURL(executor.Process)
	var metrics string
	harness.Eventually(t, harness.Patience, "the last report is counted", func() bool {
		_, metrics = fetch(t, debug+"/metrics")
		return strings.Contains(metrics, `src_apiworker_apiclient_queue_total{op="MarkErrored"}`)
	})
	for prefix, ops := range map[string][]string{
		"apiworker_command": {
			"setup.git.init", "setup.git.add-remote", "setup.git.disable-gc", "setup.git.fetch", "setup.git.sparse-checkout-config",
			"setup.git.sparse-checkout-set", "setup.git.checkout", "setup.git.set-remote", "exec",
		},
		"apiworker_apiclient_queue": {"Dequeue", "Heartbeat", "AddExecutionLogEntry", "MarkComplete", "MarkErrored"},
		"apiworker_apiclient_files": {"Get"},
	} {
		for _, op := range ops {
			require.Regexp(t, `(?m)^src_`+prefix+`_total\{op="`+op+`"\} [1-9]`, metrics)
			require.Regexp(t, `(?m)^src_`+prefix+`_errors_total\{op="`+op+`"\} \d`, metrics)
			require.Regexp(t, `(?m)^src_`+prefix+`_duration_seconds_count\{op="`+op+`"\} [1-9]`, metrics)
		}
	}
	require.Regexp(t, `(?m)^src_apiworker_command_errors_total\{op="exec"\} 1$`, metrics)
	require.Regexp(t, `(?m)^src_executor_processor_total\{op="Handle",queue="batches"\} 2$`, metrics)
	require.Regexp(t, `(?m)^src_executor_processor_errors_total\{op="Handle",queue="batches"\} 1$`, metrics)
	for _, bucket := range []string{"30", "60", "150", "300", "450", "600", "900", "1200", "1800", "2700", "3600", `\+Inf`} {
		require.Regexp(t, `(?m)^src_executor_processor_duration_seconds_bucket\{op="Handle",queue="batches",le="`+bucket+`"\} 2$`, metrics)
	}
	require.Regexp(t, `(?m)^src_executor_processor_handlers\{queue="batches"\} [0-2]$`, metrics)
	require.Contains(t, metrics, "\ngo_goroutines ")
	require.Contains(t, metrics, "\nprocess_resident_memory_bytes ")
	await(t, frontend, "/heartbeat", `src_executor_processor_total{op=\"Handle\",queue=\"batches\"} 2`, "go_goroutines")

	for path, want := range map[string]int{"/debug/pprof/": http.StatusOK, "/debug/pprof/goroutine?debug=1": http.StatusOK, "/": http.StatusNotFound} {
		status, _ := fetch(t, debug+path)
		require.Equal(t, want, status, path)
	}
}
