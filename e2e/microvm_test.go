//go:build e2e && vm

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/vm/vmtest"
)

// machines is a host that can run microVMs, without a Docker engine.
type machines struct {
	dir, tempDir string
	env          []string
	registry     *vmtest.Registry
}

func newMachines(t *testing.T) machines {
	t.Helper()
	m := machines{registry: vmtest.StartRegistry(t), dir: filepath.Join(t.TempDir(), "vm"), tempDir: t.TempDir()}
	m.env = []string{
		"EXECUTOR_VM_DIR=" + m.dir, "EXECUTOR_FIRECRACKER_IMAGE=" + m.registry.Root, "EXECUTOR_JOB_MEMORY=128M", "EXECUTOR_JOB_NUM_CPUS=1", "EXECUTOR_VM_PREFIX=e2e",
		"EXECUTOR_FIRECRACKER_DISK_SPACE=1G", "PATH=" + pathWithout(t, "docker"),
	}
	env := append([]string{"EXECUTOR_FRONTEND_URL=http://frontend.test", "EXECUTOR_FRONTEND_PASSWORD=none", "EXECUTOR_QUEUE_NAME=default"}, m.env...)
	installed := harness.Run(t, env, "executor", "install", "kernel", "--from", vmtest.Kernel(t), "--agent", vmtest.Agent(t))
	require.Zero(t, installed.Code, installed.Stderr)
	installed = harness.Run(t, env, "executor", "install", "vm-image")
	require.Zero(t, installed.Code, installed.Stderr)
	return m
}

// threeSteps is a job over two images, whose steps pass a file on.
func (m machines) threeSteps(name string) string {
	return fmt.Sprintf(`steps:
  - {key: write, image: %q, run: "echo %s > file; test -x /bin/crun"}
  - {key: add, image: %q, run: "! test -e /bin/crun; echo more >> file"}
  - {key: read, image: %q, run: "cat file"}
`, m.registry.Root, name, m.registry.Image, m.registry.Root)
}

func TestJobInAMicroVM(t *testing.T) {
	m := newMachines(t)
	got := standalone(t, m.env, "run", "--runtime", "firecracker", jobFile(t, m.threeSteps("words")))
	require.Zero(t, got.Code, got.Stdout+got.Stderr)
	require.Contains(t, got.Stdout, "\nwords\nmore\n")
	require.Regexp(t, `\njob completed after \S+\n  write  ok, \S+\n  add    ok, \S+\n  read   ok, \S+\n$`, got.Stdout)
	m.requireNothingLeft(t)
}

func TestEightJobsInMicroVMsAtOnce(t *testing.T) {
	m := newMachines(t)
	frontend := harness.StartFrontend(t)
	executor := harness.StartExecutor(t, frontend.URL, m.tempDir, "firecracker", append(m.env, "EXECUTOR_MAXIMUM_NUM_JOBS=8")...)
	var ids []int64
	for i := range 8 {
		ids = append(ids, frontend.Submit(t, m.threeSteps(fmt.Sprintf("job-%d", i))).ID)
	}
	for i, id := range ids {
		job, log := frontend.Await(t, id)
		require.EqualValues(t, "completed", job.State, log)
		require.Equal(t, 1, strings.Count(log, fmt.Sprintf("stdout: job-%d\nstdout: more\n", i)), log)
	}
	executor.Signal(syscall.SIGTERM)
	require.Zero(t, executor.Wait(harness.Patience))
	m.requireNothingLeft(t)
}
