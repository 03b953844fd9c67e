//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
)

// The first signal lets the running job finish, however long that takes, and takes no other one.
func TestDrainFinishesTheRunningJob(t *testing.T) {
	t.Parallel()
	const lease = 6 * time.Second
	frontend := harness.StartFrontend(t, "FRONTEND_LEASE_TIMEOUT="+lease.String())
	executor := harness.StartExecutor(t, frontend.URL, t.TempDir(), "shell")
	gate := newGate(t)
	running := frontend.Submit(t, fmt.Sprintf("steps: [{image: none, run: %q}]", "echo started; "+gate.wait+"; echo finished"))
	frontend.AwaitLog(t, running.ID, "stdout: started\n")

	executor.Signal(syscall.SIGTERM)
	drained := executor.LoggedAt("draining: no new jobs are taken")
	waiting := frontend.Submit(t, "steps: [{image: none, run: echo later}]")
	harness.Eventually(t, harness.Patience, "heartbeats go on for longer than the lease", func() bool {
		all, err := frontend.Client.Executors(harness.Context(t))
		require.NoError(t, err)
		require.Len(t, all, 1)
		return all[0].LastSeenAt.After(drained.Add(lease + time.Second))
	})
	gate.open(t)

	job, log := frontend.Await(t, running.ID)
	require.Equal(t, jobs.Completed, job.State)
	require.Len(t, job.Attempts, 1)
	require.Contains(t, log, "stdout: finished\n")
	require.Zero(t, executor.Wait(harness.Patience))
	require.Empty(t, harness.Residue(t, executor.TempDir))
	later, err := frontend.Client.Job(harness.Context(t), waiting.ID)
	require.NoError(t, err)
	require.Equal(t, jobs.Queued, later.State)
}

// gate holds up steps on this host until it is opened.
type gate struct {
	file string
	// wait is the shell command of a step that waits.
	wait string
}

func newGate(t *testing.T) gate {
	file := filepath.Join(t.TempDir(), "open")
	return gate{file, "until [ -e " + file + " ]; do sleep 0.1; done"}
}

func (g gate) dir() string { return filepath.Dir(g.file) }

func (g gate) open(t *testing.T) {
	require.NoError(t, os.WriteFile(g.file, nil, 0o600))
}
