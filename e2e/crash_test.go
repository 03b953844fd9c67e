//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
)

// shortLease is a lease time that heartbeats, every 5 s, just keep.
const shortLease = "FRONTEND_LEASE_TIMEOUT=7s"

// foundWithin is the time within which the frontend puts a dead executor's job back, with the default lease time.
const foundWithin = 30 * time.Second

// A killed executor leaves processes that nobody waits for, in sessions of their own even, and a workspace. The next one on that host
// removes all of it before it takes a job, and runs the interrupted job again.
func TestExecutorIsKilled(t *testing.T) {
	t.Parallel()
	mark, gate, tempDir := newMark(), newGate(t), t.TempDir()
	frontend := harness.StartFrontend(t, shortLease)
	killed := harness.StartExecutor(t, frontend.URL, tempDir, "shell")
	script := fmt.Sprintf("if [ -e %s ]; then echo again; exit; fi; setsid sleep %s & echo started; sleep %s; true", gate.file, mark, mark)
	submitted := frontend.Submit(t, fmt.Sprintf("steps: [{image: none, run: %q}]", script))
	frontend.AwaitLog(t, submitted.ID, "stdout: started\n")
	killed.Kill()
	require.Len(t, harness.ProcessesWith(t, mark), 2)
	require.Len(t, harness.Leftovers(t, tempDir), 1)
	gate.open(t)

	next := harness.StartExecutor(t, frontend.URL, tempDir, "shell")
	require.Empty(t, harness.ProcessesWith(t, mark))
	require.Empty(t, harness.Leftovers(t, tempDir))
	requireSecondAttempt(t, frontend, submitted.ID, killed, next)
	next.Signal(syscall.SIGTERM)
	require.Zero(t, next.Wait(harness.Patience))
	require.Empty(t, harness.Residue(t, tempDir))
}

// requireSecondAttempt waits for a job that one executor started and another one completed, and returns it.
func requireSecondAttempt(t *testing.T, frontend *harness.Frontend, id int64, first, second *harness.Executor) jobs.Job {
	t.Helper()
	job, log := frontend.Await(t, id)
	require.Equal(t, jobs.Completed, job.State)
	require.Contains(t, log, "stdout: again\n")
	require.Len(t, job.Attempts, 2)
	require.Equal(t, []string{"lost", "completed"}, []string{job.Attempts[0].Cause, job.Attempts[1].Cause})
	require.Equal(t, []string{first.Name, second.Name}, []string{job.Attempts[0].Executor, job.Attempts[1].Executor})
	require.Equal(t, []int{1, 2}, []int{job.Attempts[0].Number, job.Attempts[1].Number})
	require.Contains(t, frontend.Log(t, id, 1), "stdout: started\n", "the log of the lost attempt is kept")
	return job
}

// A job that takes its executor with it, again and again, is not run for ever.
func TestJobKillsItsExecutors(t *testing.T) {
	t.Parallel()
	tempDir := t.TempDir()
	frontend := harness.StartFrontend(t, "FRONTEND_LEASE_TIMEOUT=1s")
	submitted := frontend.Submit(t, "steps: [{image: none, run: kill -9 $PPID}]")
	var names []string
	for range 4 {
		executor := harness.StartExecutor(t, frontend.URL, tempDir, "shell")
		require.Equal(t, -1, executor.Wait(harness.Patience))
		names = append(names, executor.Name)
	}
	job, _ := frontend.Await(t, submitted.ID)
	require.Equal(t, jobs.Failed, job.State)
	require.Contains(t, job.Reason, "too many times")
	require.Contains(t, job.Reason, names[3])
	require.Len(t, job.Attempts, 4)
	for i, attempt := range job.Attempts {
		require.Equal(t, jobs.Attempt{Number: i + 1, Executor: names[i], Cause: "lost"},
			jobs.Attempt{Number: attempt.Number, Executor: attempt.Executor, Cause: attempt.Cause})
	}
	harness.StartExecutor(t, frontend.URL, tempDir, "shell")
	require.Empty(t, harness.Leftovers(t, tempDir))
}

// An executor that slept through its lease, and wakes while another one runs the job, can change nothing any more; it stops what it ran
// and removes it. Meanwhile nobody else did: it was alive.
func TestExecutorSleepsThroughItsLease(t *testing.T) {
	t.Parallel()
	mark, again, tempDir := newMark(), newGate(t), t.TempDir()
	frontend := harness.StartFrontend(t, shortLease)
	stale := harness.StartExecutor(t, frontend.URL, tempDir, "shell", "EXECUTOR_CLEANUP_TASK_INTERVAL=100ms", "EXECUTOR_STOP_GRACE_PERIOD=1s")
	t.Cleanup(func() { stale.Signal(syscall.SIGCONT) })
	// The first attempt goes on printing while its executor sleeps.
	script := fmt.Sprintf(`if mkdir %s 2>/dev/null; then echo started; while :; do echo tick; sleep 0.1; done & sleep %s; fi; echo again; %s`,
		filepath.Join(tempDir, "first"), mark, again.wait)
	submitted := frontend.Submit(t, fmt.Sprintf("steps: [{image: none, run: %q}]", script))
	frontend.AwaitLog(t, submitted.ID, "stdout: tick\n")
	stale.Signal(syscall.SIGSTOP)

	other := harness.StartExecutor(t, frontend.URL, tempDir, "shell", "EXECUTOR_CLEANUP_TASK_INTERVAL=100ms")
	frontend.AwaitLog(t, submitted.ID, "stdout: again\n")
	before := frontend.Log(t, submitted.ID, 1)
	require.NotEmpty(t, harness.ProcessesWith(t, mark), "a sleeping executor is a living one")
	stale.Signal(syscall.SIGCONT)
	lost := stale.LoggedAt("lease lost, stopping the job")
	ended := stale.LoggedAt("job ended without a lease, its result is dropped")
	require.LessOrEqual(t, ended.Sub(lost), time.Second+promise)
	require.Empty(t, harness.ProcessesWith(t, mark))
	require.Len(t, harness.Leftovers(t, tempDir), 1, "only the workspace of the second attempt is left")

	again.open(t)
	requireSecondAttempt(t, frontend, submitted.ID, stale, other)
	require.Equal(t, before, frontend.Log(t, submitted.ID, 1))
}

// Executors that share a host clean up after the dead one among them, and never after each other.
func TestExecutorsOfOneHost(t *testing.T) {
	t.Parallel()
	tempDir, gate := t.TempDir(), newGate(t)
	frontend := harness.StartFrontend(t)
	var executors []*harness.Executor
	var ids []int64
	for _, queue := range []string{"one", "two", "dead"} {
		executors = append(executors, harness.StartExecutor(t, frontend.URL, tempDir, "shell", "EXECUTOR_QUEUE_NAME="+queue, "EXECUTOR_CLEANUP_TASK_INTERVAL=100ms"))
		job := frontend.Submit(t, fmt.Sprintf("{queue: %s, steps: [{image: none, run: %q}]}", queue, "echo started; "+gate.wait))
		frontend.AwaitLog(t, job.ID, "stdout: started\n")
		ids = append(ids, job.ID)
	}
	require.Len(t, harness.Leftovers(t, tempDir), 3)
	executors[2].Kill()
	harness.Eventually(t, harness.Patience, "the dead one's workspace is removed", func() bool { return len(harness.Leftovers(t, tempDir)) == 2 })
	gate.open(t)
	for _, id := range ids[:2] {
		job, _ := frontend.Await(t, id)
		require.Equal(t, jobs.Completed, job.State)
		require.Len(t, job.Attempts, 1)
	}
	require.True(t, slices.ContainsFunc(executors[:2], func(e *harness.Executor) bool {
		return strings.Contains(e.Output(), "removed what earlier executors left on this host")
	}))
	for _, executor := range executors[:2] {
		executor.Signal(syscall.SIGTERM)
		require.Zero(t, executor.Wait(harness.Patience))
	}
	require.Empty(t, harness.Residue(t, tempDir))
}
