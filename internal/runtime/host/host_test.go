package host

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
)

func TestStopReason(t *testing.T) {
	t.Parallel()
	require.Empty(t, StopReason(t.Context()))
	for _, test := range []struct {
		cause error
		want  string
	}{
		{runtime.ErrCanceled, "The step was stopped: the job was canceled."},
		{runtime.ErrLeaseLost, "The step was stopped: this executor lost its lease on the job."},
		{runtime.ErrShutdown, "The step was stopped: the executor is shutting down."},
		{errors.New("two\nlines."), "The step was stopped: two lines."},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(test.cause)
		require.Equal(t, test.want, StopReason(ctx))
	}
	for _, test := range []struct {
		cause error
		want  string
	}{
		{nil, "The step was killed by its deadline."},
		{errors.New("limit 1s"), "The step was killed by its deadline: limit 1s."},
		{runtime.ErrShutdown, "The step was stopped: the executor is shutting down."},
	} {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Nanosecond, test.cause)
		defer cancel()
		<-ctx.Done()
		require.Equal(t, test.want, StopReason(ctx))
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	got, err := Variables([]string{"A=1", "B", "C=", "A=2=3", "D= x\n"})
	require.NoError(t, err)
	require.Equal(t, []Variable{{"A", "2=3"}, {"C", ""}, {"D", " x\n"}}, got)
	for _, bad := range []string{"=", "=x", "A=\x00", "\x00=a"} {
		_, err := Variables([]string{"OK=1", bad})
		require.Errorf(t, err, "pair %q", bad)
		require.Equal(t, fault.User, fault.ClassOf(err))
		require.NotContains(t, err.Error(), "\x00")
	}
}

// Variables keeps what a process would see: for each name the last value given.
func TestVariablesKeepTheLastValues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pairs := rapid.SliceOf(rapid.StringMatching(`[A-C](=[a-c=]{0,3})?`)).Draw(t, "pairs")
		want := map[string]string{}
		for _, pair := range pairs {
			if name, value, ok := strings.Cut(pair, "="); ok {
				want[name] = value
			}
		}
		variables, err := Variables(pairs)
		require.NoError(t, err)
		got := map[string]string{}
		for _, variable := range variables {
			got[variable.Name] = variable.Value
		}
		require.Len(t, variables, len(got), "no name twice")
		require.Equal(t, want, got)
	})
}

func TestStepsOutrankTheStepsOwnEnvironment(t *testing.T) {
	t.Parallel()
	log := commandtest.NewLog()
	steps := &Steps{
		Runner:    &command.Runner{Allowed: []string{"/bin/sh"}},
		Session:   SessionName(runtime.Job{Executor: "host-a", Queue: "default", ID: 1}),
		Workspace: t.TempDir(),
		Log:       log,
		Env:       []string{"DOCKER_CONFIG=ours"},
	}
	require.NoError(t, steps.Sweep(t.Context()), "nothing ran yet")
	step := runtime.Step{Key: "step.src.0", Env: []string{"DOCKER_CONFIG=theirs", "EXECUTOR_SESSION=theirs", "A=b c"}}
	require.NoError(t, steps.Run(t.Context(), step, []string{"/bin/sh", "-c", `echo "$DOCKER_CONFIG $A"; echo "$EXECUTOR_SESSION"`}))
	require.Equal(t, "stdout: ours b c\nstdout: "+steps.Session+"\n", log.Entry(t, "step.src.0").Out)
	require.Regexp(t, `^host-a/default/1/0/[A-Z2-7]+$`, steps.Session)
}
