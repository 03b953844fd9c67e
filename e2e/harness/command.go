package harness

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// Result is how a program did that ran to its end.
type Result struct {
	// Code is the exit code; -1 stands for a signal.
	Code           int
	Stdout, Stderr string
}

// Run runs a program to its end, within Patience, with exactly the given environment besides PATH and HOME.
func Run(t testing.TB, env []string, program string, args ...string) Result {
	t.Helper()
	return RunCommand(t, env, Program(t, program), args...)
}

// RunCommand is Run for a program that is not ours, found by path or in PATH.
func RunCommand(t testing.TB, env []string, path string, args ...string) Result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(Context(t), path, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return Result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}
