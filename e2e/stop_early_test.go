//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
)

// A job that waits is canceled at once and never runs.
func TestCanceledBeforeItStarts(t *testing.T) {
	t.Parallel()
	frontend := harness.StartFrontend(t)
	first := frontend.Submit(t, "steps: [{image: none, run: echo first}]")
	job, err := frontend.Client.Cancel(harness.Context(t), first.ID)
	require.NoError(t, err)
	require.Equal(t, jobs.Canceled, job.State)
	require.Equal(t, "canceled while it waited in its queue", job.Reason)

	second := frontend.Submit(t, "steps: [{image: none, run: echo second}]")
	harness.StartExecutor(t, frontend.URL, t.TempDir(), "shell")
	job, _ = frontend.Await(t, second.ID)
	require.Equal(t, jobs.Completed, job.State)
	job, log := frontend.Await(t, first.ID)
	require.Empty(t, job.Attempts)
	require.Empty(t, log)
}

// A git server that never answers keeps neither the job nor its processes from being stopped, and the log tells why the clone ended.
func TestCanceledWhileItClones(t *testing.T) {
	t.Parallel()
	mark := newMark()
	frontend := harness.StartFrontend(t, "FRONTEND_REPOS_DIR="+harness.Repositories(t, "project"), "PATH="+hangingGit(t, mark)+":"+os.Getenv("PATH"))
	tempDir := t.TempDir()
	executor := harness.StartExecutor(t, frontend.URL, tempDir, "shell")
	submitted := frontend.Submit(t, `
repository: {name: project, commit: main}
steps: [{image: none, run: echo never}]
`)
	harness.Eventually(t, harness.Patience, "the server hangs", func() bool { return len(harness.ProcessesWith(t, mark)) > 0 })
	_, err := frontend.Client.Cancel(harness.Context(t), submitted.ID)
	require.NoError(t, err)

	job, log := frontend.Await(t, submitted.ID)
	require.Empty(t, harness.Leftovers(t, tempDir))
	require.Empty(t, harness.ProcessesWith(t, tempDir+"/workspace"), "git clients")
	require.Equal(t, jobs.Canceled, job.State)
	require.Equal(t, "canceled while it ran", job.Reason)
	require.Equal(t, "canceled", job.Attempts[0].Cause)
	require.Contains(t, log, "The command was stopped: job canceled.\n")
	require.NotContains(t, log, "never")
	ended := executor.LoggedAt("job ended")
	require.LessOrEqual(t, ended.Sub(executor.LoggedAt("job canceled by the frontend")), promise)
	harness.Eventually(t, harness.Patience, "the frontend ends its git", func() bool { return len(harness.ProcessesWith(t, mark)) == 0 })
}

// hangingGit makes a directory with a git that answers no fetch.
func hangingGit(t *testing.T, mark string) string {
	git, err := exec.LookPath("git")
	require.NoError(t, err)
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *upload-pack*) exec sleep %s ;; esac\nexec %s \"$@\"\n", mark, git)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o755))
	return dir
}
