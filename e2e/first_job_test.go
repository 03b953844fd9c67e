//go:build e2e

package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
)

// An operator starts a frontend and an executor; a user submits a job and reads its log.
func TestFirstJob(t *testing.T) {
	t.Parallel()
	frontend := harness.StartFrontend(t)
	harness.StartExecutor(t, frontend.URL, t.TempDir(), "shell")
	submitted := frontend.Submit(t, `
files: {name.txt: world}
steps:
  - {key: greet, image: none, env: {GREETING: Hello}, run: 'echo "$GREETING, $(cat name.txt)!"'}
  - {key: fail, image: none, run: "exit 3"}
`)
	job, log := frontend.Await(t, submitted.ID)
	require.Equal(t, jobs.Failed, job.State)
	require.Equal(t, `running command "step.docker.fail": command failed with exit code 3`, job.Reason)
	require.Contains(t, log, "stdout: Hello, world!\n")
	require.Len(t, job.Attempts, 1)
}
