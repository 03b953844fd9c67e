//go:build e2e && cluster

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/open-executor/executor/e2e/harness"
)

// An executor is killed with two jobs in the middle of a step. The next one goes on with them: in the same attempt, no step twice, no line of the log missing
// or double. A third one comes after the second.
func TestPodsOfAKilledExecutorGoOn(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	frontend := harness.StartFrontend(t)
	first := harness.StartExecutor(t, frontend.URL, t.TempDir(), "kubernetes", c.env...)
	// What a step has done before shows in a second run of it. The second step is jumped over.
	text := fmt.Sprintf(`steps:
  - {key: once.pre, image: %q, run: "! test -e began; touch began; echo '{\"nextStep\": \"count\"}' > skip.json; echo first"}
  - {key: never, image: %q, run: "echo never"}
  - {key: count, image: %q, run: "! test -e counting || exit 9; touch counting; i=0; while [ $i -lt 120 ]; do i=$((i+1)); echo line $i; sleep 0.1; done"}
  - {key: last, image: %q, run: "echo last; ls"}
`, c.images[0], c.images[1], c.images[0], c.images[1])
	var ids []int64
	for range 2 {
		ids = append(ids, frontend.Submit(t, text).ID)
	}
	executor := first
	for _, line := range []int{20, 60} {
		for _, id := range ids {
			frontend.AwaitLog(t, id, fmt.Sprintf("stdout: line %d\n", line))
		}
		executor.Kill()
		began := time.Now()
		executor = harness.StartExecutor(t, frontend.URL, t.TempDir(), "kubernetes", c.env...)
		t.Logf("the successor was ready after %s", time.Since(began).Round(time.Millisecond))
	}
	var want strings.Builder
	want.WriteString("stdout: first\n")
	for i := range 120 {
		fmt.Fprintf(&want, "stdout: line %d\n", i+1)
	}
	want.WriteString("stdout: last\nstdout: began\nstdout: counting\n")
	for _, id := range ids {
		job, log := frontend.Await(t, id)
		require.EqualValues(t, "completed", job.State, log)
		require.Len(t, job.Attempts, 1, "it goes on in the same attempt")
		require.Equal(t, want.String(), stdoutOf(log), log)
		require.Equal(t, 2, strings.Count(log, "its successor goes on with pod "), log)
	}
	executor.Signal(syscall.SIGTERM)
	executor.Wait(harness.Patience)
	c.requireNothingLeft(t)
}

// stdoutOf are a log's lines of standard output: the shells' traces go to the other.
func stdoutOf(log string) string {
	var out strings.Builder
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "stdout: ") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// A successor that comes when the frontend has given the job up removes what is left of it, and the job runs again.
func TestPodsOfAKilledExecutorEndWhenItsLeaseHas(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	frontend := harness.StartFrontend(t, "FRONTEND_LEASE_TIMEOUT=10s")
	executor := harness.StartExecutor(t, frontend.URL, t.TempDir(), "kubernetes", c.env...)
	id := frontend.Submit(t, fmt.Sprintf("steps:\n  - {key: long, image: %q, run: \"echo up; while test $EXECUTOR_TEST_END = no; do sleep 1; done\", env: {EXECUTOR_TEST_END: \"no\"}}\n", c.images[0])).ID
	frontend.AwaitLog(t, id, "stdout: up\n")
	executor.Kill()
	harness.Eventually(t, harness.Patience, "the frontend gives the job up", func() bool {
		job, err := frontend.Client.Job(t.Context(), id)
		require.NoError(t, err)
		return job.State == "queued"
	})
	executor = harness.StartExecutor(t, frontend.URL, t.TempDir(), "kubernetes", c.env...)
	harness.Eventually(t, harness.Patience, "it runs again, in one pod", func() bool {
		job, err := frontend.Client.Job(t.Context(), id)
		require.NoError(t, err)
		pods, err := c.client.CoreV1().Pods(c.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "open-executor.dev/job"})
		require.NoError(t, err)
		return len(job.Attempts) == 2 && len(pods.Items) == 1 && strings.Contains(frontend.Log(t, id, 2), "stdout: up\n")
	})
	_, err := frontend.Client.Cancel(t.Context(), id)
	require.NoError(t, err)
	frontend.Await(t, id)
	executor.Signal(syscall.SIGTERM)
	executor.Wait(harness.Patience)
	c.requireNothingLeft(t)
}
