//go:build e2e

package e2e

import (
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// An executor that starts before its frontend waits for it, quietly while nobody answers there.
func TestReferenceFrontendIsDownAtStart(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	relay := harness.NewRelay(t, frontend.URL(), "", nil)
	env := append(harness.ExecutorEnv(relay.URL, t.TempDir(), "shell"), referenceEnv("EXECUTOR_DEBUG_ADDR=127.0.0.1:0")...)
	executor := harness.StartProcess(t, env, "executor", "run")
	debug := debugURL(executor)
	status, text := fetch(t, debug+"/healthz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "the frontend has not answered yet\n", text)

	frontend.FailNext("/heartbeat", http.StatusBadGateway, 2)
	relay.Open()
	executor.AwaitOutput("executor is ready")
	require.Equal(t, complete, result(t, frontend, frontend.Enqueue(step("true"))))
	status, text = fetch(t, debug+"/healthz")
	require.Equal(t, http.StatusOK, status)
	require.Regexp(t, `^ok: the frontend answered \ds ago\n$`, text)
	require.NotContains(t, executor.Output(), "connection refused")
	require.Contains(t, executor.Output(), "unexpected status code 502")
	requests := frontend.Requests()
	require.Greater(t, len(requests), 3)
	for _, ping := range requests[:3] {
		require.True(t, matches(ping, "/heartbeat", `"os":""`), "only pings before the first that is answered")
	}
}

func TestSignalWhileTheReferenceFrontendIsDown(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	relay := harness.NewRelay(t, frontend.URL(), "", nil)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		tempDir := t.TempDir()
		env := append(harness.ExecutorEnv(relay.URL, tempDir, "shell"), referenceEnv("EXECUTOR_DEBUG_ADDR=127.0.0.1:0")...)
		executor := harness.StartProcess(t, env, "executor", "run")
		executor.AwaitOutput("debug server is up")
		executor.Signal(signal)
		require.Equal(t, 1, executor.Wait(harness.Patience))
		require.Contains(t, executor.Output(), "interrupted while waiting for the frontend")
		require.Empty(t, harness.Residue(t, tempDir))
	}
}

// Jobs outlive a frontend that is away for a while; their logs and their ends arrive when it is back.
func TestReferenceFrontendGoesAwayDuringAJob(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	relay := harness.NewRelay(t, frontend.URL(), "", nil)
	relay.Open()
	executor := startAt(t, relay.URL)
	first, hold := newLatch(t), newLatch(t)
	id := frontend.Enqueue(step("echo before", first.wait, "echo between", hold.wait, "echo after"))
	awaitStep(t, frontend)
	first.open(t)
	// An update shows that the executor has got the answer to the entry's addition, which it would repeat otherwise.
	harness.Eventually(t, harness.Patience, "the step's entry is updated", func() bool {
		return stepOutput(frontend.Entries(id)) == "before between"
	})
	relay.Close()
	executor.AwaitOutput("heartbeat failed")
	hold.open(t)
	executor.AwaitOutput("log entry could not be sent")
	relay.Open()
	require.Equal(t, complete, result(t, frontend, id))
	entries := frontend.Entries(id)
	require.Equal(t, "before between after", stepOutput(entries))
	require.Equal(t, "teardown.fs", entries[len(entries)-1].Key)
	require.Equal(t, complete, result(t, frontend, frontend.Enqueue(step("true"))), "and it takes the next job")
}

// Answers to heartbeats that are none say nothing about jobs.
func TestReferenceFrontendAnswersHeartbeatsBadly(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	executor := startAt(t, frontend.URL())
	await(t, frontend, "/heartbeat", `"jobIds":null`)
	hold := newLatch(t)
	id := frontend.Enqueue(step(hold.wait))
	awaitStep(t, frontend)
	for status, failure := range map[int]string{
		http.StatusInternalServerError: "unexpected status code 500",
		http.StatusNoContent:           "it has no content",
		http.StatusOK:                  "it is not a JSON object",
	} {
		frontend.FailNext("/heartbeat", status, 1)
		executor.AwaitOutput(failure)
	}
	require.GreaterOrEqual(t, count(frontend, "/heartbeat", `"jobIds":[1]`), 3)
	require.NotContains(t, executor.Output(), "lease lost")
	hold.open(t)
	require.Equal(t, complete, result(t, frontend, id))
}

// The frontend has ended the job, but its answer is lost: the second report is refused, which is fine.
func TestReferenceFrontendLosesTheAnswerToAReport(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	executor := startAt(t, frontend.URL())
	frontend.FailNext("/markComplete", frontendtest.DropAnswer, 1)
	require.Equal(t, complete, result(t, frontend, frontend.Enqueue(step("true"))))
	executor.AwaitOutput("an earlier report, whose answer was lost, got through")
	require.Equal(t, 2, count(frontend, "/markComplete"))
	require.Equal(t, complete, result(t, frontend, frontend.Enqueue(step("true"))))
	require.NotContains(t, executor.Output(), "reporting the job's end failed")
}

// A report that fails is repeated until it gets through.
func TestReferenceFrontendFailsToTakeAReport(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	startAt(t, frontend.URL())
	frontend.FailNext("/markErrored", http.StatusServiceUnavailable, 1)
	frontend.FailNext("/markErrored", frontendtest.Drop, 1)
	report := result(t, frontend, frontend.Enqueue(step("exit 9")))
	require.Equal(t, `running command "step.docker.only": command failed with exit code 9`, report.Message)
	require.Equal(t, 3, count(frontend, "/markErrored"))
}
