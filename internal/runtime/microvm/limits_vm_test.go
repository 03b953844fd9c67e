//go:build vm && linux

package microvm

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/runtime"
)

// A job can't take more of the host's disk, or of its processes, than it was given, and is told what it lacks.
func TestJobsThatWantMoreThanTheyGet(t *testing.T) {
	s := newSite(t)
	const disk = 64 << 20
	e := s.executor(t, func(o *Options) { o.Disk = disk })
	workspace := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(workspace, runtime.ScriptsDir), 0o755))
	for name, script := range map[string]string{
		"data":    "dd if=/dev/zero of=/data/much bs=1M count=100 && exit; rm -f /data/much; exit 5",
		"scratch": "dd if=/dev/zero of=/much bs=1M count=100",
		"forks":   "fork() { sleep 60 & fork; }; (fork) 2>/dev/null; echo done",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(workspace, runtime.ScriptsDir, name), []byte(script), 0o755))
	}
	log := commandtest.NewLog()
	opened, err := e.runtime.Open(t.Context(), runtime.Job{ID: 1, Queue: "default", Executor: e.name, WorkspaceDir: workspace, Log: log})
	require.NoError(t, err)
	run := func(name string) error {
		return opened.Run(t.Context(), runtime.Step{Key: "step.docker." + name, Image: s.registry.Image, Script: name})
	}
	var exit *command.ExitError
	require.ErrorAs(t, run("data"), &exit)
	require.Equal(t, 5, exit.Code)
	require.NotContains(t, log.Entry(t, "step.docker.data").Out, "is full", "it made room again")
	err = run("scratch")
	require.ErrorAs(t, err, &exit)
	require.ErrorContains(t, err, "disk is full")
	require.Contains(t, log.Entry(t, "step.docker.scratch").Out, "The job's disk is full (64 MiB, EXECUTOR_FIRECRACKER_DISK_SPACE).\n")
	require.NoError(t, run("forks"), "what a step wrote outside of the workspace is gone with it")
	require.Equal(t, "stdout: done\n", log.Entry(t, "step.docker.forks").Out)
	info, err := os.Stat(opened.(*session).machine.diskPath())
	require.NoError(t, err)
	require.EqualValues(t, disk, info.Size())
	require.NoError(t, opened.Close(t.Context()))
}
