package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Executor is a running executor process with a temporary directory of its own, in which its workspaces are.
type Executor struct {
	*Process
	// TempDir is the executor's TMPDIR. Executors that share it see each other's leftovers.
	TempDir string
}

// ExecutorEnv is the environment of an executor of the queue "default" at a frontend.
func ExecutorEnv(frontendURL, tempDir, runtime string) []string {
	return []string{
		"EXECUTOR_FRONTEND_URL=" + frontendURL,
		"EXECUTOR_FRONTEND_PASSWORD=" + ExecutorToken,
		"EXECUTOR_QUEUE_NAME=default",
		"EXECUTOR_RUNTIME=" + runtime,
		"TMPDIR=" + tempDir,
	}
}

// StartExecutor starts an executor and waits until it is ready. Env is added to its environment and wins.
func StartExecutor(t testing.TB, frontendURL, tempDir, runtime string, env ...string) *Executor {
	t.Helper()
	e := &Executor{
		Process: StartProcess(t, append(ExecutorEnv(frontendURL, tempDir, runtime), env...), "executor", "run"),
		TempDir: tempDir,
	}
	e.AwaitOutput("executor is ready")
	return e
}

// Leftovers lists what is left of jobs in an executor's temporary directory: workspaces and runners' directories.
func Leftovers(t testing.TB, tempDir string) []string {
	t.Helper()
	var left []string
	for _, pattern := range []string{"workspace-*", "executor-*-runner*"} {
		found, err := filepath.Glob(filepath.Join(tempDir, pattern))
		require.NoError(t, err)
		left = append(left, found...)
	}
	return left
}

// Containers lists the ids of containers, running or not, that carry a label, "open-executor.job=7" for example.
func Containers(t testing.TB, label string) []string {
	t.Helper()
	out, err := exec.CommandContext(Context(t), "docker", "ps", "--all", "--quiet", "--no-trunc", "--filter", "label="+label).CombinedOutput()
	require.NoError(t, err, string(out))
	return strings.Fields(string(out))
}

// ProcessesWith lists the ids of processes that have a text among their arguments.
func ProcessesWith(t testing.TB, text string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var found []string
	for _, file := range files {
		// A process may end while we look.
		words, err := os.ReadFile(file)
		if err == nil && strings.Contains(strings.ReplaceAll(string(words), "\x00", " "), text) {
			found = append(found, filepath.Base(filepath.Dir(file)))
		}
	}
	return found
}
