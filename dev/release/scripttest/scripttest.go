// Package scripttest runs the scripts of releases in tests, beside stand-ins for what they call.
package scripttest

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Environment is what scripts and git have: of this process only the path and the directory for temporary files, a fixed author and date, and more, which
// comes before these.
func Environment(more map[string]string) []string {
	all := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": "/nonexistent", "TMPDIR": os.TempDir(), "LC_ALL": "C.UTF-8",
		"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
		"GIT_AUTHOR_NAME": "Author", "GIT_AUTHOR_EMAIL": "author@example.com", "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
		"GIT_COMMITTER_NAME": "Author", "GIT_COMMITTER_EMAIL": "author@example.com", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
	}
	maps.Copy(all, more)
	var env []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		env = append(env, name+"="+all[name])
	}
	return env
}

// Result is how a script ended and what it said.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// Run runs a command with Environment(variables), in a session of its own, which is named by the command's process, so that a stand-in can find it.
// Its temporary files go with the test unless the variables say where they lie: a killed script leaves its own.
func Run(t testing.TB, command *exec.Cmd, variables map[string]string) Result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	all := map[string]string{"TMPDIR": t.TempDir()}
	maps.Copy(all, variables)
	command.Stdout, command.Stderr, command.Env = &stdout, &stderr, Environment(all)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err := command.Run()
	code := command.ProcessState.ExitCode()
	if err != nil {
		require.NotZero(t, code, err)
	}
	return Result{code, stdout.String(), stderr.String()}
}
