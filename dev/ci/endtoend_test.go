package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// endToEnd runs the script of the end-to-end step with stand-ins for what it calls, and returns its exit code, what it printed and its calls.
func endToEnd(t *testing.T, env ...string) (code int, said, calls string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"docker", "go", "execctl"} {
		text, err := os.ReadFile(filepath.Join("testdata/standin", name+".sh"))
		require.NoError(t, err)
		write(t, filepath.Join(dir, "bin", name), string(text))
	}
	scratch := filepath.Join(dir, "scratch")
	require.NoError(t, os.Mkdir(scratch, 0o755))
	command := exec.CommandContext(t.Context(), "integration/executors/run.sh")
	command.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "TMPDIR="+scratch, "CALLS="+filepath.Join(dir, "calls"))
	command.Env = append(command.Env, env...)
	out, _ := command.CombinedOutput()
	require.NotNil(t, command.ProcessState, string(out))
	made, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	left, err := os.ReadDir(scratch)
	require.NoError(t, err)
	require.Empty(t, left, "the script leaves nothing in its directory")
	return command.ProcessState.ExitCode(), string(out), string(made)
}

var candidate = []string{"REGISTRY=registry.example", "CANDIDATE_VERSION=c0ffee_1_candidate", "EXECCTL_URL=http://127.0.0.1:7080", "E2E_JOB_IMAGE=busybox:1.37"}

var (
	scratchName = regexp.MustCompile(`/[^ :=]*/scratch/tmp\.[0-9A-Za-z]+`)
	processName = regexp.MustCompile(`executors-e2e-[0-9]+`)
	secretText  = regexp.MustCompile(`\b[0-9a-f]{48}\b`)
)

// TestEndToEnd holds every call that the script makes.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	code, said, calls := endToEnd(t, candidate...)
	require.Equal(t, 0, code, said)
	require.Contains(t, said, "== passed in ")
	for _, command := range regexp.MustCompile(`(?m)^(?:docker|go) .*$`).FindAllString(calls, -1) {
		require.NotRegexp(t, secretText, command, "a command line is public")
	}
	require.Len(t, secretText.FindAllString(calls, -1), 3, "the shared token twice, and the API's")
	calls = scratchName.ReplaceAllString(calls, "SCRATCH")
	calls = processName.ReplaceAllString(calls, "NAME")
	calls = secretText.ReplaceAllString(calls, "SECRET")
	const file = "testdata/endtoend.golden"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(calls), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), calls)
}

func TestEndToEndFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ env, says string }{
		"a container is left": {"LEFT=job-1-step-0", "FAILED: containers of jobs are left: job-1-step-0"},
		"the secret is shown": {"LEAK=1", "FAILED: the secret stands in the log"},
		"no job can fail":     {"IMMORTAL=1", "FAILED: execctl ended with 0, not with 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, said, calls := endToEnd(t, append([]string{test.env}, candidate...)...)
			require.Equal(t, 1, code, said)
			require.Contains(t, said, test.says)
			require.Regexp(t, `the log of executors-e2e-\d+-frontend`, said)
			for _, call := range []string{"docker rm --force --volumes executors-e2e-", "docker network rm executors-e2e-"} {
				require.Contains(t, calls, call)
			}
		})
	}
}

func TestEndToEndNeedsACandidate(t *testing.T) {
	t.Parallel()
	code, said, calls := endToEnd(t, "REGISTRY=registry.example", "CANDIDATE_VERSION=")
	require.NotEqual(t, 0, code)
	require.Contains(t, said, "CANDIDATE_VERSION")
	require.Empty(t, strings.TrimSpace(calls))
}
