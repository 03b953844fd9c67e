package firecracker

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// victimVariable makes the test below an executor that is to be killed.
const victimVariable = "FIRECRACKER_TEST_VICTIM"

func TestAKilledExecutorsMachinesDieAndLeaveFilesOnly(t *testing.T) {
	if os.Getenv(victimVariable) != "" {
		r := newRig(t)
		r.start(t, r.machine(t, behavior{}))
		fmt.Println("dir", r.dir)
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	defer cancel()
	self, err := os.Executable()
	require.NoError(t, err)
	victim := exec.CommandContext(ctx, self, "-test.run=^"+t.Name()+"$")
	victim.Env = append(os.Environ(), victimVariable+"=1", "TMPDIR="+t.TempDir())
	input, err := victim.StdinPipe()
	require.NoError(t, err)
	output, err := victim.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, victim.Start())
	dir := ""
	for lines := bufio.NewScanner(output); dir == "" && lines.Scan(); {
		dir, _ = strings.CutPrefix(lines.Text(), "dir ")
		if dir == lines.Text() {
			dir = ""
		}
	}
	require.NoError(t, victim.Process.Kill())
	require.Error(t, victim.Wait())
	require.ErrorIs(t, input.Close(), os.ErrClosed)
	require.NotEmpty(t, dir, "the machine has started")

	locks, err := filepath.Glob(filepath.Join(dir, usersDir, "*"))
	require.NoError(t, err)
	require.Len(t, locks, 1)
	lock, err := os.Open(locks[0])
	require.NoError(t, err)
	locked := make(chan error, 1)
	go func() { locked <- syscall.Flock(int(lock.Fd()), syscall.LOCK_EX) }()
	select {
	case err := <-locked:
		require.NoError(t, err)
	case <-ctx.Done():
		require.Fail(t, "the keeper lives")
	}
	require.NoError(t, lock.Close())
	requireNoProcess(t, dir)

	jail := filepath.Join(dir, "firecracker-v1.12", "machine-1")
	require.DirExists(t, jail)
	cgroups := filepath.Join(filepath.Dir(dir), "cgroups")
	require.DirExists(t, filepath.Join(cgroups, parentCgroup, "machine-1"))
	require.NoError(t, remove(t.Context(), dir, cgroups, func(string) bool { return false }))
	require.NoDirExists(t, jail)
	require.NoDirExists(t, filepath.Join(cgroups, parentCgroup, "machine-1"))
}
