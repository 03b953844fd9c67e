//go:build docker

package docker

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/runtimetest"
)

// Tests in files with the build tag docker need an engine, and an image with a shell and the usual small tools.

func testImage(t *testing.T) string {
	t.Helper()
	image := os.Getenv("EXECUTOR_TEST_IMAGE")
	require.NotEmpty(t, image, "set EXECUTOR_TEST_IMAGE to an image of this engine with sh and busybox's tools, as dev/test does")
	return image
}

// leftovers names the executor's containers and directories.
func (f *fixture) leftovers(ctx context.Context) ([]string, error) {
	containers, err := f.runtime.engine.list(ctx, labelExecutor+"="+f.executor)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, c := range containers {
		found = append(found, "container "+c.id)
	}
	dirs, err := filepath.Glob(filepath.Join(f.dir, "executor-docker-runner*"))
	return append(found, dirs...), err
}

func (f *fixture) step(t *testing.T, job runtime.Job, script string) runtime.Step {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(job.WorkspaceDir, runtime.ScriptsDir, "s.sh"), []byte(script), 0o755))
	return runtime.Step{Key: "step.docker.0", Image: testImage(t), Script: "s.sh"}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	image := testImage(t)
	runtimetest.Run(t, func(t *testing.T) runtimetest.Harness {
		f := newFixture(t, nil)
		return runtimetest.Harness{
			Runtime:     f.runtime,
			Executor:    f.executor,
			Workspaces:  f.dir,
			Image:       image,
			Grace:       testGrace,
			MemoryLimit: testMemory,
			Leftovers:   f.leftovers,
		}
	})
}

func TestAvailableAndEnsure(t *testing.T) {
	t.Parallel()
	engine := NewEngine(&command.Runner{})
	require.NoError(t, engine.Available(t.Context()))
	require.NoError(t, engine.Ensure(t.Context(), testImage(t)))
	err := engine.Ensure(t.Context(), "127.0.0.1:1/missing:1")
	require.ErrorContains(t, err, "image 127.0.0.1:1/missing:1 could not be pulled")
	require.NotContains(t, err.Error(), "\n")
	require.Error(t, engine.Ensure(t.Context(), "--help"))
}

func TestContainerCarriesLimitsAndLabels(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *Options) { o.CPUs = 1000 })
	session, job, log := f.open(t, 41)
	defer func() { require.NoError(t, session.Close(context.Background())) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	ended := make(chan error, 1)
	step := f.step(t, job, "echo up; while [ ! -e go ]; do sleep 0.1; done; echo $$; ulimit -u")
	go func() { ended <- session.Run(ctx, step) }()
	log.Await(t, step.Key, "up")

	found, err := f.runtime.engine.list(t.Context(), managedBy, labelJob+"=41", labelAttempt+"=2", labelQueue+"=default", labelExecutor+"="+f.executor)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.WithinDuration(t, time.Now().Add(time.Hour), found[0].deadline, time.Minute)
	inspected, err := f.runtime.engine.call(t.Context(), defaultLimits.query, "inspect", "--format",
		"{{.HostConfig.PidsLimit}} {{.HostConfig.Memory}} {{.HostConfig.Init}} {{.HostConfig.AutoRemove}} {{.HostConfig.LogConfig.Type}}", found[0].id)
	require.NoError(t, err)
	require.Equal(t, "200 67108864 true true none", strings.TrimSpace(inspected))
	require.NoError(t, os.WriteFile(filepath.Join(job.WorkspaceDir, "go"), nil, 0o644))
	require.NoError(t, <-ended, "more CPUs than there are is no reason to refuse")
}

// Names that steer the docker program reach the container and not the program.
func TestSteeringVariablesReachTheContainerOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	session, job, log := f.open(t, 42)
	defer func() { require.NoError(t, session.Close(context.Background())) }()
	step := f.step(t, job, `echo "$DOCKER_HOST $HOME $HTTP_PROXY $LD_PRELOAD $TINI_KILL_PROCESS_GROUP"; echo "$PATH"; set | grep -c EXECUTOR_`)
	step.Env = []string{"DOCKER_HOST=tcp://127.0.0.1:1", "DOCKER_CONFIG=/nowhere", "HOME=/data", "HTTP_PROXY=x", "LD_PRELOAD=y", "TINI_KILL_PROCESS_GROUP=0", "PATH=/bin:/usr/bin:/sbin"}
	_ = session.Run(t.Context(), step)
	entry := log.Entry(t, step.Key)
	require.Contains(t, entry.Out, "stdout: tcp://127.0.0.1:1 /data x y 1\n")
	require.Contains(t, entry.Out, "stdout: /bin:/usr/bin:/sbin\n")
	require.Contains(t, entry.Out, "stdout: 0\n", "no mark of ours gets in")
	envFiles, err := filepath.Glob(filepath.Join(f.dir, "executor-docker-runner*", "env-*"))
	require.NoError(t, err)
	require.Empty(t, envFiles, "the env file goes with its step")
}

func TestImagesWithoutShell(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	archive := filepath.Join(t.TempDir(), "empty.tar")
	require.NoError(t, os.WriteFile(archive, make([]byte, 10240), 0o600))
	image := "executor-test-" + uuid.NewString() + ":1"
	_, err := f.runtime.engine.call(t.Context(), defaultLimits.query, "import", archive, image)
	require.NoError(t, err)
	defer func() {
		_, err := f.runtime.engine.call(context.Background(), defaultLimits.query, "rmi", image)
		require.NoError(t, err)
	}()
	session, job, log := f.open(t, 43)
	defer func() { require.NoError(t, session.Close(context.Background())) }()
	step := f.step(t, job, "true")
	step.Image = image
	require.ErrorContains(t, session.Run(t.Context(), step), "exit code 127")
	require.Contains(t, log.Entry(t, step.Key).Out, "The step did not start: image "+image+" has no /bin/sh.\n")
}

func TestEngineRefusal(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *Options) { o.Memory = "1m" })
	session, job, log := f.open(t, 44)
	defer func() { require.NoError(t, session.Close(context.Background())) }()
	step := f.step(t, job, "true")
	require.ErrorContains(t, session.Run(t.Context(), step), "exit code 125")
	require.Regexp(t, `(?m)^The step did not start: the Docker engine refused it: .*memory.*\.$`, log.Entry(t, step.Key).Out)
}

func TestEngineThatDoesNotAnswer(t *testing.T) {
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
	engine := NewEngine(&command.Runner{})
	err := engine.Available(t.Context())
	require.ErrorContains(t, err, "docker version: ")
	require.NotContains(t, err.Error(), "\n")
}

// An executor that isn't root can't remove what a container's root wrote.
func TestOpenToAll(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	opened, job, _ := f.open(t, 45)
	defer func() { require.NoError(t, opened.Close(context.Background())) }()
	require.NoError(t, opened.Run(t.Context(), f.step(t, job, "mkdir -p a/b; echo x > a/b/c; chmod 0400 a/b/c; chmod 01500 a/b; chmod 0 a")))
	require.NoError(t, opened.(*session).openToAll(t.Context()))
	for path, want := range map[string]os.FileMode{"a": os.ModeDir | 0o777, "a/b": os.ModeDir | 0o777, "a/b/c": 0o666} {
		info, err := os.Lstat(filepath.Join(job.WorkspaceDir, path))
		require.NoError(t, err)
		require.Equal(t, want, info.Mode(), path)
	}
}
