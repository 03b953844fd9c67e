package harness

import (
	"errors"
	"fmt"
	"io/fs"
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
	// Name is what it calls itself at the frontend and in labels.
	Name string
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
	_, name, _ := strings.Cut(e.AwaitOutput("executor is ready"), `"name": "`)
	e.Name, _, _ = strings.Cut(name, `"`)
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

// Residue lists everything in an executor's temporary directory, the owner records of the default state directory included, but not that
// directory itself: an executor that has ended leaves none.
func Residue(t testing.TB, tempDir string) []string {
	t.Helper()
	var left []string
	stateDir := fmt.Sprintf("open-executor-%d", os.Getuid())
	for _, dir := range []string{tempDir, filepath.Join(tempDir, stateDir)} {
		entries, err := os.ReadDir(dir)
		if !errors.Is(err, fs.ErrNotExist) {
			require.NoError(t, err)
		}
		for _, entry := range entries {
			if entry.Name() != stateDir {
				left = append(left, filepath.Join(dir, entry.Name()))
			}
		}
	}
	return left
}

// Containers lists the ids of containers, running or not, that carry all the labels, "open-executor.job=7" for example.
func Containers(t testing.TB, labels ...string) []string {
	t.Helper()
	words := []string{"ps", "--all", "--quiet", "--no-trunc"}
	for _, label := range labels {
		words = append(words, "--filter", "label="+label)
	}
	out, err := exec.CommandContext(Context(t), "docker", words...).CombinedOutput()
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
