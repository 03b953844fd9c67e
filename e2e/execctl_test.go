//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
)

// execctl runs the program to its end.
func execctl(t testing.TB, url, token string, args ...string) harness.Result {
	t.Helper()
	return harness.Run(t, execctlEnv(url, token), "execctl", args...)
}

func startExecctl(t testing.TB, url, token string, args ...string) *harness.Process {
	t.Helper()
	return harness.StartProcess(t, execctlEnv(url, token), "execctl", args...)
}

func execctlEnv(url, token string) []string {
	return []string{"EXECCTL_URL=" + url, "EXECCTL_TOKEN=" + token}
}

// jobFile writes a job file.
func jobFile(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "job.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// A user types execctl, and scripts go by its exit codes.
func TestExecctlExitCodes(t *testing.T) {
	t.Parallel()
	frontend, _ := somewhereToRun(t)
	good := jobFile(t, "steps: [{image: none, run: 'true'}]")
	bad := jobFile(t, "steps: [{image: none, run: exit 7}]")
	broken := jobFile(t, "steps: [{imagee: none, run: exit 7}]")
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"submit", good}, 0, "job 1 is queued in queue default\n"},
		{[]string{"submit", good, "--wait"}, 0, "job 2 is completed\n"},
		{[]string{"submit", "--follow", good}, 0, "job completed"},
		{[]string{"submit", bad, "--wait"}, 1, "job 4 is failed: running command"},
		{[]string{"submit", bad, "--follow", "--wait"}, 1, "command failed with exit code 7"},
		{[]string{"retry", "4", "--wait"}, 1, "job 6 is failed"},
		{[]string{"logs", "4"}, 0, "stderr: + exit 7\n"},
		{[]string{"logs", "-f", "4"}, 0, "job failed"},
		{[]string{"show", "4"}, 0, "attempt 1 on "},
		{[]string{"list", "--state", "failed"}, 0, "JOB  QUEUE"},
		{[]string{"executors"}, 0, "active"},
		{[]string{"queues"}, 0, "default"},
		{[]string{"show", "99"}, 1, "there is no job 99"},
		{[]string{"cancel", "4"}, 1, "already over"},
		{[]string{"submit", broken}, 2, `:1:10: steps[0].imagee: unknown member, did you mean "image"?`},
		{[]string{"submit", "missing.yaml"}, 2, "missing.yaml"},
		{[]string{"submit"}, 2, "one job file"},
		{[]string{"show", "first"}, 2, "no job id"},
		{[]string{"--output", "xml", "list"}, 2, "table or json"},
		{[]string{"list", "--bogus"}, 2, "bogus"},
		{[]string{"bogus"}, 2, `no command "bogus"`},
		{[]string{"--url", "http://127.0.0.1:1", "list"}, 3, "127.0.0.1:1"},
		{[]string{"--url", "http://127.0.0.1:1", "submit", good}, 3, "127.0.0.1:1"},
	} {
		got := execctl(t, frontend.URL, frontend.Token, test.args...)
		require.Equal(t, test.code, got.Code, "%q: %s%s", test.args, got.Stdout, got.Stderr)
		if test.code == 0 || strings.HasPrefix(test.says, "job") {
			require.Contains(t, got.Stdout, test.says, "%q", test.args)
			require.Empty(t, got.Stderr, "%q", test.args)
		} else {
			require.Contains(t, got.Stdout+got.Stderr, test.says, "%q", test.args)
		}
	}
	for _, token := range []string{"wrong", harness.ExecutorToken} {
		got := execctl(t, frontend.URL, token, "list")
		require.Equal(t, 1, got.Code)
		require.Contains(t, got.Stderr, "the token is not that of this frontend's jobs API")
	}
	// Without being told, it finds the token of a frontend on this machine.
	got := harness.Run(t, []string{"EXECCTL_URL=" + frontend.URL, "FRONTEND_DATA_DIR=" + frontend.DataDir}, "execctl", "queues")
	require.Zero(t, got.Code, got.Stderr)
	got = harness.Run(t, []string{"EXECCTL_URL=http://frontend.invalid", "FRONTEND_DATA_DIR=" + frontend.DataDir}, "execctl", "queues")
	require.Equal(t, 2, got.Code, "but doesn't send it to another machine")
}

// Programs read execctl's JSON.
func TestExecctlPrintsJSON(t *testing.T) {
	t.Parallel()
	frontend, _ := somewhereToRun(t)
	run := func(code int, args ...string) string {
		t.Helper()
		got := execctl(t, frontend.URL, frontend.Token, append([]string{"--output", "json"}, args...)...)
		require.Equal(t, code, got.Code, got.Stderr)
		require.Empty(t, got.Stderr)
		return got.Stdout
	}
	file := jobFile(t, "{queue: elsewhere, steps: [{image: none, run: 'true'}], secrets: {TOKEN: {value: hunter22}}}")
	require.Equal(t, jobs.Queued, decoded[jobs.Job](t, run(0, "submit", file)).State)
	require.Equal(t, jobs.Canceled, decoded[jobs.Job](t, run(0, "cancel", "1")).State)
	require.EqualValues(t, 1, decoded[jobs.Job](t, run(0, "retry", "1")).RetryOf)
	require.Equal(t, "elsewhere", decoded[jobs.Job](t, run(0, "show", "2")).Queue)
	require.NotContains(t, run(0, "show", "2"), "hunter22")
	bad := jobFile(t, "steps: [{image: none, run: exit 7}]")
	require.Equal(t, jobs.Failed, decoded[jobs.Job](t, run(1, "submit", "--wait", bad)).State)
	require.Len(t, decoded[jobs.JobList](t, run(0, "list")).Jobs, 3)
	require.Len(t, decoded[[]jobs.Executor](t, run(0, "executors")), 1)
	require.Len(t, decoded[[]jobs.Queue](t, run(0, "queues")), 2)
	events := strings.Split(strings.TrimSpace(run(0, "logs", "--follow", "3")), "\n")
	for _, event := range events {
		require.True(t, json.Valid([]byte(event)), event)
	}
	require.Contains(t, events[len(events)-1], `{"event":"end","data":{"state":"failed"`)
	require.Contains(t, run(1, "submit", "--follow", bad), `{"event":"job","data":{"id":4,`)
}

// The examples can be submitted as they stand.
func TestExecctlSubmitsExamples(t *testing.T) {
	t.Parallel()
	repositories, err := filepath.Abs("..")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "repositories.yaml")
	require.NoError(t, os.WriteFile(file, []byte("executor: "+repositories+"\n"), 0o600))
	frontend := harness.StartFrontend(t, "FRONTEND_REPOSITORIES="+file)
	harness.StartExecutor(t, frontend.URL, t.TempDir(), "shell")

	got := execctl(t, frontend.URL, frontend.Token, "submit", "../examples/hello.yaml", "--follow", "--wait")
	require.Zero(t, got.Code, got.Stdout+got.Stderr)
	require.Contains(t, got.Stdout, "\nHello, world!\n")
	require.Contains(t, got.Stdout, "The token is ${{ secrets.TOKEN }}.")
	require.NotContains(t, got.Stdout, "correct-horse")
	require.Contains(t, got.Stdout, "job completed")

	got = execctl(t, frontend.URL, frontend.Token, "submit", "--follow", "../examples/repository.yaml")
	require.Zero(t, got.Code, got.Stdout+got.Stderr)
	require.Contains(t, got.Stdout, "\nmodule github.com/open-executor/executor\n")
	require.NotContains(t, got.Stdout, "look.missing", "a step that is skipped doesn't run")

	follower := startExecctl(t, frontend.URL, frontend.Token, "submit", "--follow", "../examples/cancel.yaml")
	follower.AwaitOutput("Waiting for a cancel.")
	canceled := execctl(t, frontend.URL, frontend.Token, "cancel", "3")
	require.Zero(t, canceled.Code, canceled.Stderr)
	require.Equal(t, "job 3 is canceling\n", canceled.Stdout)
	require.Equal(t, 1, follower.Wait(harness.Patience))
	require.Contains(t, follower.Output(), "\nStopping: giving back the lock.\n")
	require.Contains(t, follower.Output(), "job canceled")
}

// On a terminal execctl uses colours, in a pipe or with NO_COLOR it does not.
func TestExecctlColours(t *testing.T) {
	t.Parallel()
	frontend, _ := somewhereToRun(t)
	file := jobFile(t, "steps: [{image: none, run: 'true'}]")
	const escape = "\x1b["
	require.NotContains(t, execctl(t, frontend.URL, frontend.Token, "submit", "--follow", file).Stdout, escape)
	env := append(execctlEnv(frontend.URL, frontend.Token), "TERM=xterm")
	require.Contains(t, harness.OnTerminal(t, env, "execctl", "logs", "--follow", "1"), escape)
	shown := harness.OnTerminal(t, append(env, "NO_COLOR=1"), "execctl", "logs", "--follow", "1")
	require.Contains(t, shown, "job completed")
	require.NotContains(t, shown, escape)
}

// The completion script completes commands and flags in a real shell.
func TestExecctlCompletion(t *testing.T) {
	t.Parallel()
	programs := filepath.Dir(harness.Program(t, "execctl"))
	complete := func(words ...string) []string {
		script := fmt.Sprintf(`PATH=%s:$PATH; source <(execctl completion bash); COMP_WORDS=(%s); COMP_CWORD=%d; _execctl; printf '%%s\n' "${COMPREPLY[@]}"`,
			programs, strings.Join(words, " "), len(words)-1)
		got := harness.RunCommand(t, nil, "bash", "-c", script)
		require.Zero(t, got.Code, got.Stderr)
		return strings.Fields(got.Stdout)
	}
	require.Equal(t, []string{"submit"}, complete("execctl", "sub"))
	require.Subset(t, complete("execctl", "''"), []string{"submit", "list", "show", "logs", "cancel", "retry", "executors", "queues", "completion"})
	require.Contains(t, complete("execctl", "submit", "--fo"), "--follow")
	require.Equal(t, []string{"bash", "zsh"}, complete("execctl", "completion", "''"))
}
