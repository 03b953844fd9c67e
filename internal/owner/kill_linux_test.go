package owner

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sleeper starts a process with mark and returns it with a function that waits for its end.
func sleeper(t *testing.T, mark string) (pid int, end func() syscall.Signal) {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "A=b", mark}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	// The kernel shows the environment a moment after Start has returned.
	require.Eventually(t, func() bool { return hasMark(cmd.Process.Pid, mark) }, 10*time.Second, time.Millisecond)
	return cmd.Process.Pid, func() syscall.Signal {
		_ = cmd.Wait()
		return cmd.ProcessState.Sys().(syscall.WaitStatus).Signal()
	}
}

func TestKillMarked(t *testing.T) {
	t.Parallel()
	mark, other := Mark("host-"+strconv.Itoa(os.Getpid())), Mark("host-"+strconv.Itoa(os.Getpid())+"0")
	_, firstEnd := sleeper(t, mark)
	_, secondEnd := sleeper(t, mark)
	spared, _ := sleeper(t, other)

	killed, err := KillMarked(t.Context(), mark)
	require.NoError(t, err)
	require.Equal(t, 2, killed)
	require.Equal(t, syscall.SIGKILL, firstEnd())
	require.Equal(t, syscall.SIGKILL, secondEnd())
	require.True(t, hasMark(spared, other), "a mark that only begins alike is another's")

	killed, err = KillMarked(t.Context(), mark)
	require.NoError(t, err)
	require.Zero(t, killed)
}

func TestKillSparesAProcessWithoutTheMark(t *testing.T) {
	t.Parallel()
	pid, _ := sleeper(t, Mark("somebody"))
	require.NoError(t, kill(pid, Mark("somebody-else")))
	require.True(t, hasMark(pid, Mark("somebody")))
}

func TestKillMarkedEndsWithItsContext(t *testing.T) {
	t.Parallel()
	mark := SessionMark("session-" + strconv.Itoa(os.Getpid()))
	_, end := sleeper(t, mark)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// The signal is sent all the same; only the wait for its effect ends.
	_, err := KillMarked(ctx, mark)
	if err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Equal(t, syscall.SIGKILL, end())
}
