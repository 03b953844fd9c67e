package runtimetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/runtime"
)

// stopMargin is how much longer than the grace period a stop may take.
const stopMargin = 5 * time.Second

// stop starts a script, ends its context as soon as it says "up", and returns what the log then has and how long the end took.
// Nothing of the step may be left then.
func (b *bundle) stop(t *testing.T, script string, cause error) (out string, took time.Duration) {
	t.Helper()
	before := b.leftovers(t)
	out, took = b.stopBeside(t, script, cause)
	require.Equal(t, before, b.leftovers(t))
	return out, took
}

// stopBeside is stop while another session is busy.
func (b *bundle) stopBeside(t *testing.T, script string, cause error) (out string, took time.Duration) {
	t.Helper()
	step := b.step(t, "stopped", script)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() { ended <- b.session.Run(ctx, step) }()
	b.log.Await(t, step.Key, "up")
	began := time.Now()
	cancel(cause)
	require.ErrorIs(t, <-ended, cause)
	took = time.Since(began)
	entry := b.log.Entry(t, step.Key)
	require.True(t, entry.Closed)
	require.NotZero(t, entry.ExitCode)
	return entry.Out, took
}

// The children say that they are up: a shell can lose the signal for a child that it is just starting.
func testStopHonoured(t *testing.T, b *bundle) {
	out, took := b.stop(t, "trap 'echo cleaning; echo done > cleaned; exit 1' TERM\nsh -c 'echo up; exec sleep 1000' &\nwait", runtime.ErrCanceled)
	require.Less(t, took, b.Grace, "it ends when the step does")
	require.Equal(t, "done\n", b.take(t, "cleaned"))
	require.Contains(t, out, "stdout: cleaning\n")
	require.Contains(t, out, "The step was stopped: the job was canceled.\n")
}

// A shell runs its trap only after its foreground command, so that one has to get the signal as well.
func testStopReachesChildren(t *testing.T, b *bundle) {
	out, took := b.stop(t, "trap 'echo done > cleaned; exit 1' TERM\nsh -c 'echo up; exec sleep 1000'", runtime.ErrShutdown)
	require.Less(t, took, b.Grace)
	require.Equal(t, "done\n", b.take(t, "cleaned"))
	require.Contains(t, out, "The step was stopped: the executor is shutting down.\n")
}

func testStopIgnored(t *testing.T, b *bundle) {
	out, took := b.stop(t, "trap '' TERM\necho up\nwhile true; do sleep 1000; done", runtime.ErrLeaseLost)
	require.GreaterOrEqual(t, took, b.Grace)
	require.Less(t, took, b.Grace+stopMargin)
	require.Contains(t, out, "The step was stopped: this executor lost its lease on the job.\n")
}

func testStopWithoutTrap(t *testing.T, b *bundle) {
	out, took := b.stop(t, "echo up\nsleep 1000", errors.New("a reason\nof two lines"))
	require.Less(t, took, b.Grace+stopMargin)
	require.Contains(t, out, "The step was stopped: a reason of two lines.\n")
}

func testStopBeforeStart(t *testing.T, b *bundle) {
	step := b.step(t, "never", "echo ran > ran")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(runtime.ErrCanceled)
	require.ErrorIs(t, b.session.Run(ctx, step), runtime.ErrCanceled)
	require.Equal(t, "The step was stopped: the job was canceled.\n", b.log.Entry(t, step.Key).Out)
	_, err := b.session.TakeFile(t.Context(), "ran", 1)
	require.Error(t, err)
}

// A context may end at any moment between the start of the client and that of the step.
func testStopWhileStarting(t *testing.T, b *bundle) {
	before := b.leftovers(t)
	for _, after := range []time.Duration{0, 1, 20, 60, 120, 200, 300, 450} {
		step := b.step(t, fmt.Sprint("after", int(after)), "sleep 1000")
		ctx, cancel := context.WithTimeoutCause(t.Context(), after*time.Millisecond, runtime.ErrCanceled)
		require.ErrorIsf(t, b.session.Run(ctx, step), runtime.ErrCanceled, "after %d ms", after)
		cancel()
		require.Contains(t, b.log.Entry(t, step.Key).Out, "The step was stopped: the job was canceled.\n")
	}
	require.Equal(t, before, b.leftovers(t))
}

func testDeadline(t *testing.T, b *bundle) {
	step := b.step(t, "late", "echo up\nsleep 1000")
	cause := errors.New("job exceeded maximum execution time of 1s")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
	defer cancel()
	require.ErrorIs(t, b.session.Run(ctx, step), cause)
	require.Contains(t, b.log.Entry(t, step.Key).Out, "The step was killed by its deadline: job exceeded maximum execution time of 1s.\n")
}

func testBackgroundProcesses(t *testing.T, b *bundle) {
	before := b.leftovers(t)
	entry, err := b.run(t, "background", "sleep 1000 &\n(trap '' TERM HUP; sleep 1000) > /dev/null 2>&1 &\necho last")
	require.NoError(t, err)
	require.Equal(t, "stdout: last\n", entry.Out)
	require.Equal(t, before, b.leftovers(t))
}

func testDetachedProcesses(t *testing.T, b *bundle) {
	before := b.leftovers(t)
	_, err := b.run(t, "detached", "setsid sleep 1000 > /dev/null 2>&1 < /dev/null &\nsetsid sh -c 'trap \"\" TERM HUP; sleep 1000' > /dev/null 2>&1 &\ntrue")
	require.NoError(t, err)
	require.Equal(t, before, b.leftovers(t))
}

// A session neither sees nor feels what happens to another one.
func testTwoSessions(t *testing.T, b *bundle) {
	other := b.another(t)
	// A cancelled session must not take the other one's step with it.
	step := other.step(t, "long", "echo up\nwhile [ ! -e go ]; do sleep 0.1; done\ncat go")
	ended := make(chan error, 1)
	go func() { ended <- other.session.Run(t.Context(), step) }()
	other.log.Await(t, step.Key, "up")

	b.stopBeside(t, "echo up\nsleep 1000", runtime.ErrCanceled)
	b.close(t)
	_, err := b.Runtime.Reap(t.Context())
	require.NoError(t, err)
	select {
	case err := <-ended:
		require.FailNow(t, "the other session's step ended", "error %v, log %+v", err, other.log.Entries())
	default:
	}
	other.put(t, "go", "gone on\n")
	require.NoError(t, <-ended)
	require.Equal(t, "stdout: up\nstdout: gone on\n", other.log.Entry(t, step.Key).Out)
	other.close(t)
	require.Empty(t, b.leftovers(t))
}

func testOpenWithEndedContext(t *testing.T, b *bundle) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(runtime.ErrShutdown)
	_, err := b.Runtime.Open(ctx, b.job)
	require.ErrorIs(t, err, runtime.ErrShutdown)
}

func testReapSparesTheLiving(t *testing.T, b *bundle) {
	step := b.step(t, "living", "echo up\nwhile [ ! -e go ]; do sleep 0.1; done")
	ended := make(chan error, 1)
	go func() { ended <- b.session.Run(t.Context(), step) }()
	b.log.Await(t, step.Key, "up")
	_, err := b.Runtime.Reap(t.Context())
	require.NoError(t, err)
	b.put(t, "go", "")
	require.NoError(t, <-ended)
}
