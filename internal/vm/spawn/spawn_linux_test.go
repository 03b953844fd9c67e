package spawn

import (
	"context"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds the wait for a process that has been killed.
const patience = 10 * time.Second

// Often enough that the process's first thread, which never ends, would be among those that do it.
func TestProcessesEndWithTheirThread(t *testing.T) {
	t.Parallel()
	for range 50 {
		thread := NewThread(logtest.Scoped(t))
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		cmd := exec.CommandContext(ctx, "sleep", "1000")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		require.NoError(t, thread.Start(cmd))
		require.Error(t, thread.Start(exec.Command("/nonexistent")))
		thread.Close()
		thread.Close()
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Wait(), &exit)
		require.Equal(t, syscall.SIGTERM, exit.Sys().(syscall.WaitStatus).Signal(), "it was not the thread that ended it")
		cancel()
	}
}
