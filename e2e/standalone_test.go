//go:build e2e

package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
)

// noEngine is the environment of somebody without a Docker engine.
var noEngine = []string{"DOCKER_HOST=unix:///nonexistent/docker.sock"}

// example is the path of an example whose image is replaced by another one.
func example(t testing.TB, name, image string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../examples", name))
	require.NoError(t, err)
	const original = "image: busybox:1.37"
	require.Contains(t, string(text), original)
	return jobFile(t, strings.ReplaceAll(string(text), original, "image: "+image))
}

// standalone runs the program to its end in a temporary directory, in which it may leave nothing.
func standalone(t testing.TB, env []string, args ...string) harness.Result {
	t.Helper()
	tempDir := t.TempDir()
	got := harness.Run(t, append([]string{"TMPDIR=" + tempDir}, env...), "standalone", args...)
	require.Empty(t, harness.Residue(t, tempDir))
	return got
}

// requireExamples runs the examples that end by themselves, twice in a row, and returns what was said besides their logs.
func requireExamples(t *testing.T, env []string, image string) (said string) {
	t.Helper()
	for range 2 {
		got := standalone(t, env, "run", example(t, "hello.yaml", image))
		require.Zero(t, got.Code, got.Stderr)
		require.Contains(t, got.Stdout, "\nHello, world!\n")
		require.Contains(t, got.Stdout, "\nThe greeting has 14 characters.\n")
		require.Contains(t, got.Stdout, "\nThe token is ${{ secrets.TOKEN }}.\n")
		require.NotContains(t, got.Stdout+got.Stderr, "correct-horse")
		require.Regexp(t, `\njob completed after \S+\n  greet   ok, \S+\n  count   ok, \S+\n  secret  ok, \S+\n$`, got.Stdout)
		said += got.Stderr

		got = standalone(t, env, "run", example(t, "repository.yaml", image), "--repo", "executor=..")
		require.Zero(t, got.Code, got.Stdout+got.Stderr)
		require.Contains(t, got.Stdout, "\nmodule github.com/open-executor/executor\n")
		require.Regexp(t, `\n\d{3,} Go files\n`, got.Stdout)
		require.NotContains(t, got.Stdout, "look.missing")
		said += got.Stderr
	}
	return said
}

// Without a Docker engine the examples run on this host, and the user is told plainly.
func TestStandaloneWithoutAnEngine(t *testing.T) {
	t.Parallel()
	said := requireExamples(t, noEngine, "busybox:1.37")
	require.Equal(t, 4, strings.Count(said, "No container can run here: no Docker engine answers: "), said)
	require.Equal(t, 4, strings.Count(said, "WITHOUT ISOLATION"), said)
}

// A machine that doesn't even have the docker program is no different.
func TestStandaloneWithoutDocker(t *testing.T) {
	t.Parallel()
	got := standalone(t, []string{"PATH=" + pathWithout(t, "docker")}, "run", "../examples/hello.yaml")
	require.Zero(t, got.Code, got.Stderr)
	require.Contains(t, got.Stderr, "No container can run here: no Docker engine answers: ")
	require.Contains(t, got.Stderr, "docker")
	require.Contains(t, got.Stdout, "\nHello, world!\n")
}

// Who insists on containers is refused, and so is everything that makes no sense.
func TestStandaloneRefusesPlainly(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"run", "--runtime", "docker", "../examples/hello.yaml"}, 1, "no Docker engine answers: "},
		{[]string{"serve", "--data-dir", t.TempDir()}, 1, "start a Docker engine, or choose --runtime shell to run jobs on this host without isolation"},
		{[]string{"run", jobFile(t, "steps: [{image: none, run: exit 3}]")}, 1, "WITHOUT ISOLATION"},
		{[]string{"run", jobFile(t, "{repository: {name: no/such, commit: main}, steps: [{image: none, run: b}]}")}, 2, "--repo no/such=PATH"},
		{[]string{"run", jobFile(t, "steps: [{imagee: none, run: b}]")}, 2, `:1:10: steps[0].imagee: unknown member`},
		{[]string{"run", jobFile(t, "{steps: [{image: none, run: b}], secrets: {TOKEN: {env: NOT_SET_ANYWHERE}}}")}, 2, "NOT_SET_ANYWHERE"},
		{[]string{"run"}, 2, "one job file"},
		{[]string{"run", "missing.yaml"}, 2, "missing.yaml"},
		{[]string{"run", "--repo", "executor", "../examples/hello.yaml"}, 2, "want NAME=PATH"},
		{[]string{"run", "--repo", "executor=/nonexistent", "../examples/repository.yaml"}, 2, "there is no directory /nonexistent"},
		{[]string{"run", "--runtime", "kubernetes", "../examples/hello.yaml"}, 2, "auto, docker, firecracker and shell"},
		{[]string{"run", "--bogus", "../examples/hello.yaml"}, 2, "bogus"},
		{[]string{"bogus"}, 2, "bogus"},
	} {
		got := standalone(t, noEngine, test.args...)
		require.Equal(t, test.code, got.Code, "%q: %s%s", test.args, got.Stdout, got.Stderr)
		require.Contains(t, got.Stderr, test.says, "%q", test.args)
	}
}

// Ctrl-C cancels the job: its steps may tidy up, and nothing stays.
func TestStandaloneIsInterruptedOnThisHost(t *testing.T) {
	t.Parallel()
	testInterrupts(t, onHost())
}

func testInterrupts(t *testing.T, at place) {
	t.Run("once", func(t *testing.T) {
		t.Parallel()
		run := startExample(t, at, t.TempDir())
		began := time.Now()
		run.Signal(syscall.SIGINT)
		run.AwaitOutput("standalone: canceling the job")
		run.requireGone(t)
		require.Less(t, time.Since(began), heartbeat+promise)
		for _, text := range []string{"\nStopping: giving back the lock.\n", "The step was stopped: ", "job canceled after "} {
			require.Contains(t, run.Output(), text)
		}
	})
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		stubborn := jobFile(t, `steps: [{image: "`+at.image+`", run: "trap '' TERM; echo Waiting for a cancel.; while true; do sleep 1000; done"}]`)
		run := startRun(t, at, t.TempDir(), stubborn, "EXECUTOR_STOP_GRACE_PERIOD=2s")
		run.Signal(syscall.SIGINT)
		run.AwaitOutput("standalone: canceling the job")
		again := time.Now()
		run.Signal(syscall.SIGINT)
		run.requireGone(t)
		require.Less(t, time.Since(again), 2*time.Second+promise)
		require.Contains(t, run.Output(), "standalone: ending the job")
	})
}

// heartbeat is the time between two heartbeats: one of them tells an executor of a cancel.
const heartbeat = 5 * time.Second

// A standalone that is killed leaves everything behind; the next one removes it before it runs its own job.
func TestStandaloneIsKilledOnThisHost(t *testing.T) {
	t.Parallel()
	testStandaloneIsKilled(t, onHost())
}

func testStandaloneIsKilled(t *testing.T, at place) {
	tempDir := t.TempDir()
	killed := startExample(t, at, tempDir)
	killed.Kill()
	require.NotEmpty(t, harness.Leftovers(t, tempDir))
	require.NotEmpty(t, killed.alive(t))
	got := harness.Run(t, []string{"TMPDIR=" + tempDir}, "standalone", "run", "--runtime", at.runtime, example(t, "hello.yaml", at.image))
	require.Zero(t, got.Code, got.Stdout+got.Stderr)
	require.Empty(t, harness.Residue(t, tempDir), "the job's secrets are among them")
	require.Empty(t, killed.alive(t))
}

// exampleRun is the example that waits for a cancel, waiting.
type exampleRun struct {
	*harness.Process
	at             place
	tempDir, agent string
}

func startExample(t *testing.T, at place, tempDir string) exampleRun {
	t.Helper()
	return startRun(t, at, tempDir, example(t, "cancel.yaml", at.image))
}

// startRun starts a job that says that it waits for a cancel.
func startRun(t *testing.T, at place, tempDir, file string, env ...string) exampleRun {
	t.Helper()
	run := exampleRun{at: at, tempDir: tempDir}
	run.Process = harness.StartProcess(t, append(env, "TMPDIR="+tempDir), "standalone", "run", "--runtime", at.runtime, file)
	run.agent = run.AwaitOutput("attempt 1 on ")
	run.AwaitOutput("\nWaiting for a cancel.")
	return run
}

// requireGone waits for the end of a run that was interrupted: nothing of it is left then.
func (r exampleRun) requireGone(t *testing.T) {
	t.Helper()
	require.Equal(t, 1, r.Wait(harness.Patience))
	require.Empty(t, harness.Residue(t, r.tempDir))
	require.Empty(t, r.alive(t))
}

// alive lists the containers of the run, or its processes.
func (r exampleRun) alive(t *testing.T) []string {
	t.Helper()
	if r.at.runtime == "docker" {
		return harness.Containers(t, "open-executor.executor="+r.agent)
	}
	return harness.ProcessesWith(t, r.tempDir)
}

// A user serves on a data directory, submits with execctl, stops and starts again, and finds everything as it was.
func TestStandaloneServes(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	serve := func() (*harness.Process, string) {
		process := harness.StartProcess(t, append([]string{"TMPDIR=" + t.TempDir(), "FRONTEND_LISTEN_ADDR=127.0.0.1:0"}, noEngine...),
			"standalone", "serve", "--data-dir", dataDir, "--runtime", "shell")
		url := process.AwaitOutput("listening on ")
		require.Regexp(t, `^http://127\.0\.0\.1:\d+$`, url)
		require.Equal(t, filepath.Join(dataDir, "api-token"), process.AwaitOutput("token of the jobs API: "))
		return process, url
	}
	process, url := serve()
	require.NoError(t, filepath.WalkDir(dataDir, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = 0o700
		}
		require.Equal(t, want, info.Mode().Perm(), path)
		return nil
	}))
	execctl := func(args ...string) harness.Result {
		t.Helper()
		return harness.Run(t, []string{"EXECCTL_URL=" + url, "EXECCTL_TOKEN_FILE=" + filepath.Join(dataDir, "api-token")}, "execctl", args...)
	}
	got := execctl("submit", "--follow", "../examples/hello.yaml")
	require.Zero(t, got.Code, got.Stdout+got.Stderr)
	before := execctl("logs", "1")
	require.Contains(t, before.Stdout, "stdout: Hello, world!\n")

	// The first signal lets a running job finish; those who follow it see its end.
	gate := newGate(t)
	follower := harness.StartProcess(t, []string{"EXECCTL_URL=" + url, "EXECCTL_TOKEN_FILE=" + filepath.Join(dataDir, "api-token")},
		"execctl", "submit", "--follow", jobFile(t, "steps: [{image: none, run: 'echo running; "+gate.wait+"'}]"))
	follower.AwaitOutput("\nrunning")
	process.Signal(syscall.SIGTERM)
	process.AwaitOutput("standalone: draining: ")
	gate.open(t)
	require.Zero(t, process.Wait(harness.Patience))
	require.Zero(t, follower.Wait(harness.Patience), follower.Output())

	_, url = serve()
	require.Equal(t, before, execctl("logs", "1"))
	listed := decoded[jobs.JobList](t, execctl("--output", "json", "list").Stdout)
	require.Len(t, listed.Jobs, 2)
	for _, job := range listed.Jobs {
		require.Equal(t, jobs.Completed, job.State)
	}
	require.Zero(t, execctl("retry", "1", "--wait").Code)
}

// pathWithout is PATH with everything in it but one program.
func pathWithout(t testing.TB, program string) string {
	t.Helper()
	dir := t.TempDir()
	for _, from := range filepath.SplitList(os.Getenv("PATH")) {
		programs, err := filepath.Glob(filepath.Join(from, "*"))
		require.NoError(t, err)
		for _, path := range programs {
			if name := filepath.Base(path); name != program {
				// The first of a name wins, as in PATH.
				_ = os.Symlink(path, filepath.Join(dir, name))
			}
		}
	}
	return dir
}
