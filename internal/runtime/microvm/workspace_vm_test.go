//go:build vm && linux

package microvm

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/runtime"
)

// A waiting machine has the job's files, whichever way they came: few of them through the agent, many on the disk.
func TestWaitingMachinesGetTheFiles(t *testing.T) {
	s := newSite(t)
	e := s.executor(t, func(o *Options) { o.Pool = 1 })
	for _, many := range []int{3, archiveEntries + 3} {
		workspace := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(workspace, runtime.ScriptsDir), 0o755))
		require.NoError(t, os.Mkdir(filepath.Join(workspace, "sub"), 0o700))
		for i := range many {
			require.NoError(t, os.WriteFile(filepath.Join(workspace, "sub", fmt.Sprint(i)), []byte("content\n"), 0o640))
		}
		require.NoError(t, os.Symlink("sub/1", filepath.Join(workspace, "link")))
		script := "ls sub | wc -l; cat link; stat -c '%a %u' sub sub/0 .; readlink link; df -T . | grep -c ext4; ls -A | sort | tr '\\n' ' '"
		require.NoError(t, os.WriteFile(filepath.Join(workspace, runtime.ScriptsDir, "s.sh"), []byte(script), 0o755))

		e.awaitIdle(t)
		log := commandtest.NewLog()
		opened, err := e.runtime.Open(t.Context(), runtime.Job{ID: 1, Queue: "default", Executor: e.name, WorkspaceDir: workspace, Log: log})
		require.NoError(t, err)
		require.Contains(t, log.Entry(t, startKey).Out, "It was waiting for a job")
		require.NoError(t, opened.Run(t.Context(), runtime.Step{Key: "step.docker.0", Image: s.registry.Image, Script: "s.sh", Dir: "."}))
		want := ""
		for _, line := range []string{fmt.Sprint(many), "content", "700 0", "640 0", "755 0", "sub/1", "1", ".sourcegraph-executor link sub "} {
			want += "stdout: " + line + "\n"
		}
		require.Equal(t, want, log.Entry(t, "step.docker.0").Out)
		require.NoError(t, opened.Close(t.Context()))
	}
}
