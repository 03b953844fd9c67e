package harness

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// OnTerminal runs a program to its end, successfully, with its output on a terminal, and returns what that got.
func OnTerminal(t testing.TB, env []string, program string, args ...string) string {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	defer ours.Close()
	require.NoError(t, unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	theirs, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)

	cmd := exec.CommandContext(Context(t), Program(t, program), args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	cmd.Stdout, cmd.Stderr = theirs, theirs
	require.NoError(t, cmd.Start())
	require.NoError(t, theirs.Close())
	var shown bytes.Buffer
	// Reading fails, instead of coming to an end, when the last of the other side is gone.
	_, _ = shown.ReadFrom(ours)
	require.NoError(t, cmd.Wait(), shown.String())
	return shown.String()
}
