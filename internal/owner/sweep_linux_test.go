package owner

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSweepAfterSIGKILL(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), helperDir+"="+dir)
	victim.Stderr = os.Stderr
	output, err := victim.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, victim.Start())
	ready, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", ready)

	removed, err := Sweep(t.Context(), dir, Engine{})
	require.NoError(t, err)
	require.Zero(t, removed, "it lives")
	require.DirExists(t, filepath.Join(parent, "workspace-1"))

	require.NoError(t, victim.Process.Kill())
	require.Error(t, victim.Wait())
	orphans, err := marked(Mark("host-victim"))
	require.NoError(t, err)
	require.Len(t, orphans, 1, "its child outlives it")

	removed, err = Sweep(t.Context(), dir, Engine{})
	require.NoError(t, err)
	require.Equal(t, 2, removed, "a process and a directory")
	require.NoDirExists(t, filepath.Join(parent, "workspace-1"))
	orphans, err = marked(Mark("host-victim"))
	require.NoError(t, err)
	require.Empty(t, orphans)
	require.Empty(t, findAbandoned(t, dir))
}
