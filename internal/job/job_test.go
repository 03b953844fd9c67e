package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeClient keeps the log that is uploaded to it.
type fakeClient struct {
	mu      sync.Mutex
	entries []api.ExecutionLogEntry
	err     error
}

func (c *fakeClient) AddEntry(_ context.Context, entry api.ExecutionLogEntry) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	c.entries = append(c.entries, entry)
	return len(c.entries), nil
}

func (c *fakeClient) UpdateEntry(_ context.Context, id int, entry api.ExecutionLogEntry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries[id-1] = entry
	return nil
}

func (c *fakeClient) OpenFile(context.Context, string, string) (io.ReadCloser, error) {
	return nil, errors.New("no such file")
}

func (c *fakeClient) keys() []string {
	var keys []string
	for _, entry := range c.entries {
		keys = append(keys, entry.Key)
	}
	return keys
}

// fakeRuntime runs steps as functions by key; steps without one succeed.
type fakeRuntime struct {
	steps   map[string]func(ctx context.Context, job runtime.Job) error
	openErr error
	// closeErr is what closing the session returns.
	closeErr error

	job    runtime.Job
	ran    []runtime.Step
	closed int
}

func (r *fakeRuntime) Capabilities() runtime.Capabilities {
	return runtime.Capabilities{Kind: runtime.Docker, StepPrefix: "step.docker."}
}

func (r *fakeRuntime) Open(_ context.Context, job runtime.Job) (runtime.Session, error) {
	r.job = job
	return fakeSession{r}, r.openErr
}

func (r *fakeRuntime) Reap(context.Context) (int, error) { return 0, nil }

type fakeSession struct{ *fakeRuntime }

func (s fakeSession) Run(ctx context.Context, step runtime.Step) (err error) {
	s.fakeRuntime.ran = append(s.fakeRuntime.ran, step)
	entry := s.job.Log.Open(step.Key, nil)
	defer func() { entry.Close(map[bool]int{true: 0, false: 1}[err == nil]) }()
	if run, ok := s.steps[step.Key]; ok {
		return run(ctx, s.job)
	}
	return nil
}

func (s fakeSession) TakeFile(_ context.Context, path string, _ int64) ([]byte, error) {
	file := filepath.Join(s.job.WorkspaceDir, path)
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fs.ErrNotExist
	}
	return raw, os.Remove(file)
}

func (s fakeSession) Close(context.Context) error {
	s.fakeRuntime.closed++
	return s.closeErr
}

// handle runs a job in the fake runtime and checks that no workspace is left.
func handle(t *testing.T, ctx context.Context, place *fakeRuntime, job api.Job) (*fakeClient, error) {
	t.Helper()
	parent := t.TempDir()
	client := &fakeClient{}
	runner := New(logtest.Scoped(t), place, func(api.Job) Client { return client }, Config{
		ExecutorName:    "host-1",
		Queue:           "default",
		Password:        "shared-password",
		DockerAuth:      auth("executor"),
		WorkspaceParent: parent,
		Commands:        &command.Runner{},
	})
	err := runner.Handle(ctx, job)
	left, readErr := os.ReadDir(parent)
	require.NoError(t, readErr)
	require.Empty(t, left, "the workspace is gone")
	return client, err
}

func auth(user string) api.DockerAuthConfig {
	return api.DockerAuthConfig{Auths: map[string]api.DockerAuth{"r.example.com": {Auth: []byte(user + ":secret")}}}
}

func containers(keys ...string) []api.DockerStep {
	var steps []api.DockerStep
	for _, key := range keys {
		steps = append(steps, api.DockerStep{Key: key, Image: "image", Commands: []string{"true"}})
	}
	return steps
}

func ranKeys(place *fakeRuntime) []string {
	var keys []string
	for _, step := range place.ran {
		keys = append(keys, step.Key)
	}
	return keys
}

func TestStepsRunInOrderBetweenSetupAndTeardown(t *testing.T) {
	t.Parallel()
	place := &fakeRuntime{}
	job := api.Job{ID: 42, Attempt: 2, DockerSteps: containers("a", "", "c"), CliSteps: []api.CliStep{{Commands: []string{"version"}, Dir: "d", Env: []string{"A=b"}}}}
	client, err := handle(t, t.Context(), place, job)
	require.NoError(t, err)
	require.Equal(t, []string{"setup.fs.extras", "step.docker.a", "step.docker.1", "step.docker.c", "step.src.0", "teardown.fs"}, client.keys())
	require.Equal(t, runtime.Step{Key: "step.src.0", Command: []string{"src", "version"}, Dir: "d", Env: []string{"A=b"}}, place.ran[3])
	require.Equal(t, "42.1_@.sh", place.ran[1].Script)
	require.Equal(t, 1, place.closed)
	require.Equal(t, "host-1", place.job.Executor)
	require.Equal(t, "default", place.job.Queue)
	require.Equal(t, 2, place.job.Attempt)
}

func TestErrorTexts(t *testing.T) {
	t.Parallel()
	exit := func(context.Context, runtime.Job) error { return &command.ExitError{Code: 3} }
	src := []api.CliStep{{Key: "batch-exec", Commands: []string{"version"}}}
	for name, test := range map[string]struct {
		place *fakeRuntime
		job   api.Job
		want  string
	}{
		"container step": {&fakeRuntime{steps: map[string]func(context.Context, runtime.Job) error{"step.docker.b": exit}},
			api.Job{DockerSteps: containers("a", "b", "c")}, `running command "step.docker.b": command failed with exit code 3`},
		"container step of a job with src steps": {&fakeRuntime{steps: map[string]func(context.Context, runtime.Job) error{"step.docker.a": exit}},
			api.Job{DockerSteps: containers("a"), CliSteps: src}, "failed to perform docker step: command failed with exit code 3"},
		"src step": {&fakeRuntime{steps: map[string]func(context.Context, runtime.Job) error{"step.src.batch-exec": exit}},
			api.Job{CliSteps: src}, "failed to perform src-cli step: command failed with exit code 3"},
		"runtime": {&fakeRuntime{openErr: errors.New("engine is gone")},
			api.Job{DockerSteps: containers("a")}, "creating runtime runner: engine is gone"},
		"runtime with src steps": {&fakeRuntime{openErr: errors.New("engine is gone")},
			api.Job{CliSteps: src}, "failed to setup virtual machine: engine is gone"},
		"commands": {&fakeRuntime{},
			api.Job{DockerSteps: []api.DockerStep{{Key: "a"}}}, `creating commands: step "step.docker.a" has no image`},
		"teardown": {&fakeRuntime{closeErr: errors.New("container stays")},
			api.Job{DockerSteps: containers("a")}, "container stays"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := handle(t, t.Context(), test.place, test.job)
			require.EqualError(t, err, test.want)
		})
	}
}

func TestBrokenWorkspace(t *testing.T) {
	t.Parallel()
	escape := map[string]api.File{"../outside": {Content: []byte("x")}}
	for prefix, src := range map[string][]api.CliStep{"creating workspace: ": nil, "failed to prepare workspace: ": {{Commands: []string{"version"}}}} {
		place := &fakeRuntime{}
		_, err := handle(t, t.Context(), place, api.Job{Files: escape, CliSteps: src})
		require.ErrorContains(t, err, prefix)
		require.Equal(t, fault.User, fault.ClassOf(err))
		require.Zero(t, place.closed, "nothing was opened")
	}
}

func TestSkipping(t *testing.T) {
	t.Parallel()
	skipTo := func(content string) func(context.Context, runtime.Job) error {
		return func(_ context.Context, job runtime.Job) error {
			return os.WriteFile(filepath.Join(job.WorkspaceDir, "skip.json"), []byte(content), 0o600)
		}
	}
	keys := []string{"step.0.pre", "step.0.run", "step.0.post", "step.1.pre", "step.1.run"}
	for name, test := range map[string]struct {
		writer, content string
		src             bool
		want            string
		err             string
	}{
		"to a later step":         {writer: "step.0.pre", content: `{"nextStep":"step.1.pre"}`, want: "step.0.pre step.1.pre step.1.run"},
		"to the next step":        {writer: "step.0.pre", content: `{"nextStep":"step.0.run"}`, want: strings.Join(keys, " ")},
		"no next step":            {writer: "step.0.pre", content: `{}`, want: strings.Join(keys, " ")},
		"no match skips the rest": {writer: "step.0.pre", content: `{"nextStep":"nowhere"}`, want: "step.0.pre"},
		"never backwards":         {writer: "step.1.pre", content: `{"nextStep":"step.0.run"}`, want: "step.0.pre step.0.run step.0.post step.1.pre"},
		"only after .pre":         {writer: "step.0.run", content: `{"nextStep":"step.1.run"}`, want: strings.Join(keys[:4], " ") + "|taken late"},
		"not with src steps":      {writer: "step.0.pre", content: `{"nextStep":"step.1.run"}`, src: true, want: strings.Join(keys, " ") + " 0"},
		"invalid":                 {writer: "step.0.pre", content: `{`, want: "step.0.pre", err: "checking for skip file: skip.json is not valid JSON: unexpected end of JSON input"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := &fakeRuntime{steps: map[string]func(context.Context, runtime.Job) error{"step.docker." + test.writer: skipTo(test.content)}}
			job := api.Job{DockerSteps: containers(keys...)}
			if test.src {
				job.CliSteps = []api.CliStep{{Commands: []string{"version"}}}
			}
			_, err := handle(t, t.Context(), place, job)
			if test.err != "" {
				require.EqualError(t, err, test.err)
			} else {
				require.NoError(t, err)
			}
			var want []string
			// What a .run step writes is found by the next .pre step.
			before, late := strings.CutSuffix(test.want, "|taken late")
			for key := range strings.SplitSeq(before, " ") {
				prefix := "step.docker."
				if key == "0" {
					prefix = "step.src."
				}
				want = append(want, prefix+key)
			}
			if late {
				want = append(want, "step.docker.step.1.run")
			}
			require.Equal(t, want, ranKeys(place))
		})
	}
}

func TestLogIsMasked(t *testing.T) {
	t.Parallel()
	place := &fakeRuntime{steps: map[string]func(context.Context, runtime.Job) error{
		"step.docker.a": func(_ context.Context, job runtime.Job) error {
			entry := job.Log.Open("step.docker.said", []string{"say", "job-token-123"})
			fmt.Fprint(entry.Stdout(), "a shared-pass")
			fmt.Fprint(entry.Stdout(), "word, a job-token-123, a hunter2\n")
			entry.Close(0)
			return nil
		},
	}}
	client, err := handle(t, t.Context(), place, api.Job{
		Token:          "job-token-123",
		DockerSteps:    containers("a"),
		RedactedValues: map[string]string{"hunter2": "${{ secrets.PASSWORD }}", "": "nothing"},
	})
	require.NoError(t, err)
	for _, entry := range client.entries {
		if entry.Key == "step.docker.said" {
			require.Equal(t, "stdout: a SECRET_REMOVED, a SECRET_REMOVED, a ${{ secrets.PASSWORD }}\n", entry.Out)
			require.Equal(t, []string{"say", "SECRET_REMOVED"}, entry.Command)
			return
		}
	}
	t.Fatal("the entry is missing")
}

func TestJobsCredentialsReplaceTheExecutors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ job, want api.DockerAuthConfig }{
		"job's":      {auth("job"), auth("job")},
		"executor's": {api.DockerAuthConfig{}, auth("executor")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := &fakeRuntime{}
			_, err := handle(t, t.Context(), place, api.Job{DockerAuth: test.job})
			require.NoError(t, err)
			require.Equal(t, test.want, place.job.DockerAuth)
		})
	}
}

func TestEverythingIsTornDownAfterACancel(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	place := &fakeRuntime{steps: map[string]func(context.Context, runtime.Job) error{
		"step.docker.a": func(ctx context.Context, _ runtime.Job) error {
			cancel(runtime.ErrCanceled)
			<-ctx.Done()
			return context.Cause(ctx)
		},
	}}
	client, err := handle(t, ctx, place, api.Job{DockerSteps: containers("a", "b")})
	require.ErrorIs(t, err, runtime.ErrCanceled)
	require.Equal(t, []string{"step.docker.a"}, ranKeys(place))
	require.Equal(t, 1, place.closed)
	require.Equal(t, []string{"setup.fs.extras", "step.docker.a", "teardown.fs"}, client.keys())
	require.NotNil(t, client.entries[2].ExitCode)
}

func TestTheLogTellsWhyTheRuntimeDidNotOpen(t *testing.T) {
	t.Parallel()
	client, err := handle(t, t.Context(), &fakeRuntime{openErr: errors.New("engine is gone, shared-password")}, api.Job{DockerSteps: containers("a")})
	require.Error(t, err)
	require.Equal(t, []string{"setup.fs.extras", "setup.runtime", "teardown.fs"}, client.keys())
	require.Equal(t, "engine is gone, SECRET_REMOVED\n", client.entries[1].Out)
	require.Equal(t, 1, *client.entries[1].ExitCode)
}

// deafClient is a frontend that answers about no log entry for a long time.
type deafClient struct{ *fakeClient }

func (deafClient) AddEntry(ctx context.Context, _ api.ExecutionLogEntry) (int, error) {
	<-ctx.Done()
	return 0, context.Cause(ctx)
}

func TestAShutdownDoesNotWaitLongForTheLog(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cause     error
		stopAfter time.Duration
		want      time.Duration
	}{
		"shutdown while the job runs":    {runtime.ErrShutdown, 30 * time.Second, shutdownFlushTime},
		"shutdown while the log is sent": {runtime.ErrShutdown, 90 * time.Second, shutdownFlushTime},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				place := &fakeRuntime{steps: map[string]func(context.Context, runtime.Job) error{"step.docker.a": func(ctx context.Context, _ runtime.Job) error {
					select {
					case <-ctx.Done():
						return context.Cause(ctx)
					case <-time.After(time.Minute):
						return nil
					}
				}}}
				runner := New(logtest.Scoped(t), place, func(api.Job) Client { return deafClient{} }, Config{WorkspaceParent: parent, Commands: &command.Runner{}})
				began := time.Now()
				time.AfterFunc(test.stopAfter, func() { cancel(test.cause) })
				err := runner.Handle(ctx, api.Job{DockerSteps: containers("a")})
				require.ErrorContains(t, err, "uploading the log: ")
				require.Equal(t, test.stopAfter+test.want, time.Since(began))
			})
		})
	}
}

func TestALogThatCantBeUploadedFailsTheJob(t *testing.T) {
	t.Parallel()
	client := &fakeClient{err: fault.Userf("log is full")}
	runner := New(logtest.Scoped(t), &fakeRuntime{}, func(api.Job) Client { return client }, Config{WorkspaceParent: t.TempDir(), Commands: &command.Runner{}})
	err := runner.Handle(t.Context(), api.Job{DockerSteps: containers("a")})
	require.ErrorContains(t, err, "uploading the log: ")
	require.ErrorContains(t, err, "log is full")
}
