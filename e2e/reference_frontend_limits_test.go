//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// A job whose id is missing in a heartbeat's answer is somebody else's: it is stopped, and nothing more is said of it.
func TestReferenceFrontendForgetsAJob(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	executor := startAt(t, frontend.URL())
	mark := newMark()
	forgotten := frontend.Enqueue(step("sleep " + mark))
	awaitStep(t, frontend)
	harness.Eventually(t, harness.Patience, "the step runs", func() bool { return len(harness.ProcessesWith(t, "sleep "+mark)) > 0 })
	frontend.Forget(forgotten)
	executor.AwaitOutput("lease lost, stopping the job")

	require.Equal(t, complete, result(t, frontend, frontend.Enqueue(step("true"))))
	require.Empty(t, harness.ProcessesWith(t, "sleep "+mark))
	require.Empty(t, harness.Leftovers(t, executor.TempDir))
	for _, end := range []api.Result{api.Complete, api.Errored, api.Failed} {
		require.Zero(t, count(frontend, "/"+string(end), fmt.Sprintf(`"jobId":%d`, forgotten)))
	}
}

func TestReferenceFrontendJobExceedsItsTime(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	executor := startAt(t, frontend.URL(), "EXECUTOR_MAXIMUM_RUNTIME_PER_JOB=1500ms")
	id := frontend.Enqueue(step("sleep 1000"))
	report := result(t, frontend, id)
	require.Equal(t, api.Errored, report.Result)
	require.True(t, strings.HasPrefix(report.Message, `job exceeded maximum execution time of 1.5s: running command "step.docker.only": `), report.Message)
	require.Contains(t, frontend.Entries(id)[1].Out, "The step was killed by its deadline: deadline of 1.5s exceeded.\n")
	require.Empty(t, harness.Leftovers(t, executor.TempDir))
}

// As many jobs at once as EXECUTOR_MAXIMUM_NUM_JOBS says, all in one heartbeat, and no more.
func TestReferenceFrontendMaximumOfJobsAtOnce(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	startAt(t, frontend.URL(), "EXECUTOR_MAXIMUM_NUM_JOBS=2")
	first, second := newLatch(t), newLatch(t)
	ids := []int64{frontend.Enqueue(step(first.wait)), frontend.Enqueue(step(second.wait)), frontend.Enqueue(step("true"))}
	await(t, frontend, "/heartbeat", `"jobIds":[1,2]`)
	require.Empty(t, frontend.Entries(ids[2]))
	second.open(t)
	require.Equal(t, complete, result(t, frontend, ids[2]), "a slot is free")
	first.open(t)
	for _, id := range ids {
		require.Equal(t, complete, result(t, frontend, id))
	}
}

func TestReferenceFrontendTotalOfJobs(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	executor := startAt(t, frontend.URL(), "EXECUTOR_NUM_TOTAL_JOBS=2")
	ids := []int64{frontend.Enqueue(step("exit 1")), frontend.Enqueue(step("true")), frontend.Enqueue(step("true"))}
	require.Zero(t, executor.Wait(harness.Patience))
	require.Equal(t, api.Errored, result(t, frontend, ids[0]).Result, "a job that fails counts, too")
	require.Equal(t, complete, result(t, frontend, ids[1]))
	require.Empty(t, frontend.Entries(ids[2]))
}

// After its active time an executor finishes what it has, with heartbeats, and ends well.
func TestReferenceFrontendMaximumActiveTime(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	hold := newLatch(t)
	running := frontend.Enqueue(step(hold.wait))
	executor := startAt(t, frontend.URL(), "EXECUTOR_MAX_ACTIVE_TIME=2s", "EXECUTOR_MAXIMUM_NUM_JOBS=2")
	awaitStep(t, frontend)
	executor.AwaitOutput("maximum active time reached")
	later := frontend.Enqueue(step("true"))
	await(t, frontend, "/heartbeat", `"jobIds":[1]`)
	hold.open(t)
	require.Zero(t, executor.Wait(harness.Patience))
	require.Equal(t, complete, result(t, frontend, running))
	require.Empty(t, frontend.Entries(later))
}
