//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// A job of one queue goes through: every request, whole, from the first ping to the last report.
func TestReferenceFrontendOfOneQueue(t *testing.T) {
	t.Parallel()
	testProtocol(t, "single_queue", "batches", api.JobV2, `"jobIds":null`, `"jobIds":[42]`)
}

func TestReferenceFrontendOfSeveralQueues(t *testing.T) {
	t.Parallel()
	testProtocol(t, "multi_queue", "codeintel", api.JobV1, `"queueNames":["codeintel","batches"]`, `"jobIdsByQueue":[{"queueName":"codeintel","jobIds":["42"]}]`,
		"EXECUTOR_QUEUE_NAME=", "EXECUTOR_QUEUE_NAMES=codeintel,batches")
}

func testProtocol(t *testing.T, golden, queue string, version int, idle, busy string, env ...string) {
	frontend := frontendtest.New(t)
	executor := startAt(t, frontend.URL(), append(env, tools(t, "docker", fakeDocker, "src", fakeSrc))...)
	await(t, frontend, "/heartbeat", `"os":"linux"`, idle)

	first, second := newLatch(t), newLatch(t)
	job := step("echo begun", first.wait, "echo going on", second.wait, "echo done")
	job.ID, job.Queue, job.Version = 42, queue, version
	frontend.Enqueue(job)
	awaitStep(t, frontend)
	first.open(t)
	await(t, frontend, "/updateExecutionLogEntry", `"key":"step.docker.only"`, `stdout: going on\n`)
	await(t, frontend, "/heartbeat", busy)
	second.open(t)
	require.Equal(t, complete, result(t, frontend, 42))
	executor.Signal(syscall.SIGTERM)
	require.Zero(t, executor.Wait(harness.Patience))

	seen := newTranscript(executor, "0.0.0+dev", "<build>")
	// Whether an entry is updated at all depends on how much of it was known when it was added.
	requireGolden(t, "testdata/reference_frontend_"+golden+".txt", seen.requests(t, frontend.Requests(), func(r frontendtest.Request) bool {
		return !strings.HasSuffix(r.Path, "/updateExecutionLogEntry") || matches(r, "", `"key":"step.docker.only"`)
	}))
	requireGolden(t, "testdata/reference_frontend_log.txt", seen.log(t, frontend.Entries(42)))
	require.Empty(t, harness.Residue(t, executor.TempDir))
}

// The three ends of a job, each with the reference's endpoint and text (spec section 4.5).
func TestReferenceFrontendHearsHowJobsEnd(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	executor := startAt(t, frontend.URL())

	require.Equal(t, complete, result(t, frontend, frontend.Enqueue(step("true"))))
	failing := frontend.Enqueue(step("exit 3"))
	require.Equal(t, api.Report{Result: api.Errored, Message: `running command "step.docker.only": command failed with exit code 3`}, result(t, frontend, failing))
	require.Equal(t, 3, *frontend.Entries(failing)[1].ExitCode)

	canceled := frontend.Enqueue(step("sleep 1000"))
	await(t, frontend, "/addExecutionLogEntry", `"jobId":3`, `"key":"step.docker.only"`)
	frontend.Cancel(canceled)
	require.Equal(t, api.Report{Result: api.Failed, Message: `running command "step.docker.only": job canceled`}, result(t, frontend, canceled))
	requireGolden(t, "testdata/reference_frontend_ends.txt", newTranscript(executor).requests(t, frontend.Requests(), func(r frontendtest.Request) bool {
		return strings.Contains(r.Path, "/mark")
	}))
}

// A job without a token of its own is reported with the shared one (spec section 3.1).
func TestReferenceFrontendWithoutJobTokens(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	executor := startAt(t, withoutTokens(t, frontend.URL()))
	require.Equal(t, complete, result(t, frontend, frontend.Enqueue(step("true"))))
	requireGolden(t, "testdata/reference_frontend_no_job_token.txt", newTranscript(executor).requests(t, frontend.Requests(), func(r frontendtest.Request) bool {
		return strings.HasSuffix(r.Path, "/markComplete")
	}))
}

// withoutTokens stands before a frontend and takes the tokens out of its jobs, as if it made none.
func withoutTokens(t *testing.T, frontend string) string {
	t.Helper()
	target, err := url.Parse(frontend)
	require.NoError(t, err)
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode != http.StatusOK || !strings.HasSuffix(r.Request.URL.Path, "/dequeue") {
				return nil
			}
			job := make(map[string]any)
			if err := json.NewDecoder(r.Body).Decode(&job); err != nil {
				return err
			}
			job["token"] = ""
			changed, err := json.Marshal(job)
			r.Body = io.NopCloser(bytes.NewReader(changed))
			r.Header.Set("Content-Length", strconv.Itoa(len(changed)))
			return err
		},
	})
	t.Cleanup(server.Close)
	return server.URL
}
