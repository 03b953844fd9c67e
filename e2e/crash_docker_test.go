//go:build e2e && docker

package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
)

// The same as for processes, with the default lease time: the container goes, and the job is back in its queue within 30 s.
func TestExecutorIsKilledWhileItsContainerRuns(t *testing.T) {
	t.Parallel()
	mark, gate, tempDir := newMark(), newGate(t), t.TempDir()
	frontend := harness.StartFrontend(t)
	settings := []string{"EXECUTOR_DOCKER_ADDITIONAL_MOUNTS=type=bind,source=" + gate.dir() + ",target=/gate"}
	killed := harness.StartExecutor(t, frontend.URL, tempDir, "docker", settings...)
	script := fmt.Sprintf("if [ -e /gate/open ]; then echo again; exit; fi; setsid sleep %s & echo started; sleep %s; true", mark, mark)
	submitted := frontend.Submit(t, fmt.Sprintf("{secrets: {TOKEN: {value: a-secret-value}}, steps: [{image: %q, run: %q}]}", harness.Image(t), script))
	frontend.AwaitLog(t, submitted.ID, "stdout: started\n")
	killed.Kill()
	owner := "open-executor.executor=" + killed.Name
	require.Len(t, harness.Containers(t, owner), 1)
	require.Len(t, harness.Leftovers(t, tempDir), 2, "workspace and runner's directory")
	gate.open(t)

	next := harness.StartExecutor(t, frontend.URL, tempDir, "docker", settings...)
	require.Empty(t, harness.Containers(t, owner))
	require.Empty(t, harness.ProcessesWith(t, mark))
	require.Empty(t, harness.ProcessesWith(t, killed.Name), "clients of the engine")
	require.Empty(t, harness.Leftovers(t, tempDir))
	job := requireSecondAttempt(t, frontend, submitted.ID, killed, next)
	require.LessOrEqual(t, job.Attempts[0].EndedAt.Sub(job.Attempts[0].StartedAt), foundWithin)
}
