//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// referenceEnv makes an executor one of the reference's frontend.
func referenceEnv(more ...string) []string {
	return append([]string{"EXECUTOR_FRONTEND_PASSWORD=" + frontendtest.Token, "EXECUTOR_QUEUE_NAME=batches", "EXECUTOR_STOP_GRACE_PERIOD=1s"}, more...)
}

// startAt starts an executor of the queue batches at a frontend like the reference's, or at a relay before it.
func startAt(t *testing.T, frontendURL string, env ...string) *harness.Executor {
	t.Helper()
	return harness.StartExecutor(t, frontendURL, t.TempDir(), "shell", referenceEnv(env...)...)
}

// tools makes a PATH with programs before the host's own: a name and the shell script that it is, and so on.
func tools(t *testing.T, scripts ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(scripts); i += 2 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, scripts[i]), []byte("#!/bin/sh\n"+scripts[i+1]+"\n"), 0o755))
	}
	return "PATH=" + dir + string(os.PathListSeparator) + os.Getenv("PATH")
}

const (
	fakeDocker = "echo 20.10.24"
	fakeSrc    = `if [ "$1" = version ]; then echo "Current version: 5.2.1"; else echo "src $*: $GREETING in ${PWD##*/}"; exit ${EXIT:-0}; fi`
)

// step is a job of one step, "only".
func step(commands ...string) api.Job {
	return api.Job{DockerSteps: []api.DockerStep{{Key: "only", Image: "none", Commands: commands}}}
}

// latch holds up a step on this host until it is opened, without a trace in the step's log of how long that takes.
type latch struct {
	file *os.File
	// wait is the shell command that waits.
	wait string
}

func newLatch(t *testing.T) latch {
	t.Helper()
	path := filepath.Join(t.TempDir(), "latch")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	return latch{file, "read -r _ <" + path}
}

func (l latch) open(t *testing.T) {
	t.Helper()
	_, err := l.file.WriteString("\n")
	require.NoError(t, err)
}

// await waits for a request to a path of which the body has all the texts.
func await(t *testing.T, frontend *frontendtest.Frontend, suffix string, texts ...string) {
	t.Helper()
	_, err := frontend.Await(harness.Context(t), func(r frontendtest.Request) bool { return matches(r, suffix, texts...) })
	require.NoError(t, err, "no request to %s with %q", suffix, texts)
}

func matches(r frontendtest.Request, suffix string, texts ...string) bool {
	for _, text := range texts {
		if !strings.Contains(string(r.Body), text) {
			return false
		}
	}
	return strings.HasSuffix(r.Path, suffix)
}

// count is how many requests to a path with the texts there were.
func count(frontend *frontendtest.Frontend, suffix string, texts ...string) int {
	n := 0
	for _, r := range frontend.Requests() {
		if matches(r, suffix, texts...) {
			n++
		}
	}
	return n
}

// awaitStep waits until the step of the first job begins.
func awaitStep(t *testing.T, frontend *frontendtest.Frontend) {
	t.Helper()
	await(t, frontend, "/addExecutionLogEntry", `"key":"step.docker.only"`)
}

// result waits for a job's end.
func result(t *testing.T, frontend *frontendtest.Frontend, id int64) api.Report {
	t.Helper()
	report, err := frontend.Result(harness.Context(t), id)
	require.NoError(t, err)
	return report
}

// complete is the report of a job that went well.
var complete = api.Report{Result: api.Complete}
