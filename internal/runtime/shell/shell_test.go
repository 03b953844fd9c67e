package shell_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/runtimetest"
	"github.com/open-executor/executor/internal/runtime/shell"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	runtimetest.Run(t, newHarness)
}

func newHarness(t *testing.T) runtimetest.Harness {
	t.Helper()
	dir := t.TempDir()
	executor := "host-" + uuid.NewString()
	claim, err := owner.Take(filepath.Join(dir, "owners"), owner.Record{Executor: executor, Parents: []string{dir}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, claim.Close()) })
	const grace = 2 * time.Second
	subject, err := shell.New(&command.Runner{Mark: owner.Mark(executor)}, claim, shell.Options{Grace: grace})
	require.NoError(t, err)
	return runtimetest.Harness{
		Runtime:    subject,
		Executor:   executor,
		Workspaces: dir,
		Image:      "ignored:1",
		Grace:      grace,
		Leftovers:  func(context.Context) ([]string, error) { return marked(owner.Mark(executor)) },
	}
}

// marked names the processes that have mark in their environment.
func marked(mark string) ([]string, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/environ")
	var found []string
	for _, path := range paths {
		environ, err := os.ReadFile(path)
		if err == nil && strings.Contains("\x00"+string(environ), "\x00"+mark+"\x00") {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			found = append(found, path+" "+string(command))
		}
	}
	return found, err
}

func openJob(t *testing.T, harness runtimetest.Harness) (runtime.Session, runtime.Job) {
	t.Helper()
	job := runtime.Job{ID: 7, Queue: "default", Executor: harness.Executor, WorkspaceDir: t.TempDir(), Log: commandtest.NewLog()}
	session, err := harness.Runtime.Open(t.Context(), job)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, session.Close(context.Background())) })
	return session, job
}

func TestCommandIsThatOfTheSpec(t *testing.T) {
	t.Parallel()
	session, job := openJob(t, newHarness(t))
	log := job.Log.(*commandtest.Log)
	script := filepath.Join(job.WorkspaceDir, runtime.ScriptsDir, "7.0_@.sh")
	require.NoError(t, os.MkdirAll(filepath.Dir(script), 0o755))
	require.NoError(t, os.WriteFile(script, []byte("pwd -P; echo $HOME"), 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(job.WorkspaceDir, "sub"), 0o755))
	require.NoError(t, session.Run(t.Context(), runtime.Step{Key: "step.docker.0", Image: "x", Script: "7.0_@.sh", Dir: "sub", Env: []string{"HOME=elsewhere"}}))
	entry := log.Entry(t, "step.docker.0")
	require.Equal(t, []string{"/bin/sh", script}, entry.Command)
	sub, err := filepath.EvalSymlinks(filepath.Join(job.WorkspaceDir, "sub"))
	require.NoError(t, err)
	require.Equal(t, "stdout: "+sub+"\nstdout: "+os.Getenv("HOME")+"\n", entry.Out, "forwarded variables win")
}

func TestDirectoriesOutsideByWayOfSymlinks(t *testing.T) {
	t.Parallel()
	session, job := openJob(t, newHarness(t))
	require.NoError(t, os.Symlink("/", filepath.Join(job.WorkspaceDir, "root")))
	require.NoError(t, os.Symlink("..", filepath.Join(job.WorkspaceDir, "up")))
	require.NoError(t, os.WriteFile(filepath.Join(job.WorkspaceDir, "file"), nil, 0o644))
	for _, dir := range []string{"root", "root/etc", "up", "file", "missing"} {
		err := session.Run(t.Context(), runtime.Step{Key: "step.docker." + dir, Image: "x", Script: "x.sh", Dir: dir})
		require.ErrorContains(t, err, dir)
		require.Equalf(t, fault.User, fault.ClassOf(err), "directory %q", dir)
	}
}

func TestProgramsOutsideTheAllowListAreRefused(t *testing.T) {
	t.Parallel()
	session, _ := openJob(t, newHarness(t))
	err := session.Run(t.Context(), runtime.Step{Key: "step.src.0", Command: []string{"rm", "-rf", "x"}})
	require.ErrorIs(t, err, command.ErrIllegal)
}

func TestNewRefusesANegativeGracePeriod(t *testing.T) {
	t.Parallel()
	_, err := shell.New(&command.Runner{}, nil, shell.Options{Grace: -1})
	require.Equal(t, fault.Operator, fault.ClassOf(err))
}

func TestReapOfADeadExecutor(t *testing.T) {
	t.Parallel()
	harness := newHarness(t)
	dead := "host-" + uuid.NewString()
	claim, err := owner.Take(filepath.Join(harness.Workspaces, "owners"), owner.Record{Executor: dead, Parents: []string{harness.Workspaces}})
	require.NoError(t, err)
	workspace := filepath.Join(harness.Workspaces, "workspace-9-1")
	claim.Track(workspace)
	require.NoError(t, os.Mkdir(workspace, 0o700))
	require.NoError(t, claim.Close())

	removed, err := harness.Runtime.Reap(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, removed)
	_, err = os.Stat(workspace)
	require.True(t, errors.Is(err, os.ErrNotExist))
}
