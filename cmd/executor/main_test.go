package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
	"github.com/open-executor/executor/internal/version"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// execute runs the program with a configuration and returns its exit code and what it printed.
func execute(t *testing.T, env map[string]string, words ...string) (code int, stdout, stderr string) {
	t.Helper()
	lookup := func(name string) (string, bool) {
		if name == "TMPDIR" {
			return t.TempDir(), true
		}
		value, ok := env[name]
		return value, ok
	}
	var out, err bytes.Buffer
	code = run(append([]string{"executor"}, words...), lookup, &out, &err)
	return code, out.String(), err.String()
}

func configured(frontendURL string) map[string]string {
	return map[string]string{
		"EXECUTOR_FRONTEND_URL":      frontendURL,
		"EXECUTOR_FRONTEND_PASSWORD": frontendtest.Token,
		"EXECUTOR_QUEUE_NAME":        "batches",
		"EXECUTOR_RUNTIME":           "shell",
		"EXECUTOR_NUM_TOTAL_JOBS":    "1",
	}
}

func TestUnknownCommand(t *testing.T) {
	code, stdout, stderr := execute(t, nil, "nonsense")
	require.Equal(t, 1, code)
	require.Equal(t, "Unknown command \"nonsense\". Try \"executor help\".\n", stdout)
	require.Empty(t, stderr)
}

func TestUnknownFlag(t *testing.T) {
	for want, words := range map[string][]string{
		"flag provided but not defined: -nonsense; try \"executor help\"\n":          {"--nonsense"},
		"flag provided but not defined: -nonsense; try \"executor help run\"\n":      {"run", "--nonsense"},
		"flag provided but not defined: -nonsense; try \"executor help validate\"\n": {"validate", "--nonsense"},
	} {
		code, stdout, stderr := execute(t, nil, words...)
		require.Equal(t, 1, code)
		require.Empty(t, stdout)
		require.Equal(t, want, stderr)
	}
}

func TestVersion(t *testing.T) {
	for _, flag := range []string{"--version", "-v"} {
		code, stdout, stderr := execute(t, nil, flag)
		require.Zero(t, code)
		require.Equal(t, "executor version "+version.Version()+"\n", stdout)
		require.Empty(t, stderr)
	}
}

// Help works whatever the environment holds.
func TestHelp(t *testing.T) {
	for _, words := range [][]string{{"help"}, {"--help"}, {"-h"}} {
		code, stdout, stderr := execute(t, map[string]string{"EXECUTOR_MAXIMUM_NUM_JOBS": "many"}, words...)
		require.Zero(t, code)
		require.Empty(t, stderr)
		require.Contains(t, stdout, "run ")
		require.Contains(t, stdout, "validate ")
	}
}

func TestHelpOfRunNamesEveryVariable(t *testing.T) {
	for _, words := range [][]string{{"run", "--help"}, {"help", "run"}} {
		code, stdout, _ := execute(t, nil, words...)
		require.Zero(t, code)
		for _, variable := range executorconfig.Variables() {
			require.Contains(t, stdout, variable.Name+" (")
		}
		require.Contains(t, stdout, "--verify")
	}
}

func TestBrokenConfiguration(t *testing.T) {
	env := configured("")
	env["EXECUTOR_QUEUE_POLL_INTERVAL"] = "often"
	env["EXECUTOR_MAXIMUM_NUM_JOBS"] = "many"
	for _, words := range [][]string{{}, {"run"}, {"run", "--verify"}, {"validate"}} {
		code, stdout, stderr := execute(t, env, words...)
		require.Equal(t, 1, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "3 errors occurred:")
		require.Contains(t, stderr, `invalid value "" for EXECUTOR_FRONTEND_URL: no value supplied`)
		require.Contains(t, stderr, `invalid duration "often" for EXECUTOR_QUEUE_POLL_INTERVAL`)
		require.Contains(t, stderr, `invalid int "many" for EXECUTOR_MAXIMUM_NUM_JOBS`)
		require.NotContains(t, stderr, frontendtest.Token)
	}
}

func TestValidate(t *testing.T) {
	frontend := frontendtest.New(t)
	code, stdout, stderr := execute(t, configured(frontend.URL()), "validate")
	require.Zero(t, code, stderr)
	require.Equal(t, "All checks passed!\n", stdout)

	env := configured(frontend.URL())
	env["EXECUTOR_FRONTEND_PASSWORD"] = "another-token"
	code, stdout, stderr = execute(t, env, "validate")
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.True(t, strings.HasPrefix(stderr, "authorization failed: "), stderr)
}

// Without a command the program runs jobs.
func TestRun(t *testing.T) {
	frontend := frontendtest.New(t)
	for _, words := range [][]string{{}, {"run"}, {"run", "--verify"}} {
		id := frontend.Enqueue(api.Job{DockerSteps: []api.DockerStep{{Image: "none", Commands: []string{"true"}}}})
		code, stdout, stderr := execute(t, configured(frontend.URL()), words...)
		require.Zero(t, code, stderr)
		require.Empty(t, stdout)
		report, err := frontend.Result(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, api.Complete, report.Result)
	}
}

func TestRunVerifies(t *testing.T) {
	frontend := frontendtest.New(t)
	t.Setenv("PATH", t.TempDir())
	env := configured(frontend.URL())
	env["EXECUTOR_RUNTIME"] = "docker"
	code, _, stderr := execute(t, env, "run", "--verify")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "docker not found in PATH, is it installed?\n")
	require.Contains(t, stderr, "git not found in PATH, is it installed?\n")
	require.Empty(t, frontend.Requests())
}
