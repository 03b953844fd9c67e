package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const guard = "rebuild-guard.sh"

// shell runs a script as Buildkite runs a step's commands, and returns its exit code with all that it printed.
func shell(t *testing.T, dir, script string) (int, string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "/bin/bash", "-e", "-c", script)
	command.Dir = dir
	out, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return command.ProcessState.ExitCode(), string(out)
}

// Exactly 1 means that nothing changed; whatever else a check does, the step goes on.
func TestGuard(t *testing.T) {
	t.Parallel()
	const goesOn = "goes on as if something did"
	for check, want := range map[string]struct {
		code int
		says string
	}{
		"bash -c 'exit 0'":          {0, ""},
		"bash -c 'exit 1'":          {222, "nothing changed, says bash"},
		"bash -c 'exit 2'":          {0, "bash ended with 2, so what changed is not known"},
		"bash -c 'exit 222'":        {0, goesOn},
		"bash -c 'exit 255'":        {0, goesOn},
		"bash -c 'kill -KILL $$'":   {0, goesOn},
		"./not-there.sh":            {0, "./not-there.sh ended with 127"},
		"/dev/null":                 {0, "/dev/null ended with 126"},
		"bash -c 'echo seen' extra": {0, "seen"},
		"":                          {2, "dev/ci/rebuild-guard.sh CHECK"},
	} {
		code, said := shell(t, ".", "./"+guard+" "+check)
		require.Equal(t, want.code, code, "%s: %s", check, said)
		require.Contains(t, said, want.says, check)
	}
}

// TestGuardedStep runs the commands of the real step with a stand-in for what they call.
func TestGuardedStep(t *testing.T) {
	t.Parallel()
	b := bench{env: environment(nil)}
	require.NoError(t, b.run(t, "--unchanged"))
	_, rest, found := strings.Cut(b.stdout.String(), "key: build-executor-image")
	require.True(t, found)
	_, rest, _ = strings.Cut(rest, "commands:\n")
	list, _, _ := strings.Cut(rest, "    soft_fail:")
	commands := strings.ReplaceAll(list, "      - ", "")

	for check, want := range map[string]struct {
		code  int
		built bool
	}{
		"exit 0": {0, true},
		"exit 1": {222, false},
		"exit 3": {0, true},
		"":       {0, true}, // the check is not there
	} {
		dir := t.TempDir()
		script, err := os.ReadFile(guard)
		require.NoError(t, err)
		write(t, filepath.Join(dir, "dev/ci", guard), string(script))
		write(t, filepath.Join(dir, "dev/bazel"), "#!/bin/bash\necho \"$@\" >built\n")
		if check != "" {
			write(t, filepath.Join(dir, "cmd/executor/ci-should-rebuild.sh"), "#!/bin/bash\n"+check+"\n")
		}
		code, said := shell(t, dir, commands)
		require.Equal(t, want.code, code, "%s: %s", check, said)
		if want.built {
			built, err := os.ReadFile(filepath.Join(dir, "built"))
			require.NoError(t, err, check)
			require.Equal(t, "run --config=release //cmd/executor/vm-image:ami.build\n", string(built))
		} else {
			require.NoFileExists(t, filepath.Join(dir, "built"), check)
		}
	}
}

// write makes a program. Another process does the writing: while this one had the file open, any process that a parallel test starts would
// have it open too for a moment, and the program could not be run.
func write(t *testing.T, file, text string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "install", "-D", "-m", "755", "/dev/stdin", file)
	command.Stdin = strings.NewReader(text)
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
}
