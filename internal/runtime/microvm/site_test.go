package microvm

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/uuid"
	"github.com/sourcegraph/log"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/flock"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/vm/imagedisk"
)

const (
	fakeDisk  = 64 << 20
	fakeGrace = 2 * time.Second
)

// layouts hands out disks of images that are OCI layouts in a directory.
type layouts struct {
	*imagedisk.Store
	dir string
}

func (l layouts) Get(ctx context.Context, ref string, auth api.DockerAuthConfig) (*imagedisk.Disk, error) {
	return l.GetTrusted(ctx, ref, auth)
}

func (l layouts) GetTrusted(ctx context.Context, ref string, auth api.DockerAuthConfig) (*imagedisk.Disk, error) {
	return l.Store.GetTrusted(ctx, "oci:"+filepath.Join(l.dir, ref), auth)
}

func newLayouts(t *testing.T, dir string, names ...string) layouts {
	t.Helper()
	for _, name := range names {
		image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: goruntime.GOARCH, Author: name, RootFS: v1.RootFS{Type: "layers"}})
		require.NoError(t, err)
		path, err := layout.Write(filepath.Join(dir, "layouts", name), empty.Index)
		require.NoError(t, err)
		require.NoError(t, path.AppendImage(image))
	}
	store, err := imagedisk.New(imagedisk.Options{Dir: filepath.Join(dir, "images"), Size: 1 << 20, Make: func(_ context.Context, archive io.Reader, path string) error {
		raw, err := io.ReadAll(archive)
		return errors.Join(err, os.WriteFile(path, raw, 0o600))
	}})
	require.NoError(t, err)
	return layouts{store, filepath.Join(dir, "layouts")}
}

// fake is a runtime whose machines are scripts. Its end proves that nothing of them is left.
type fake struct {
	*Runtime
	driver *driver
	dir    string
}

func newFake(t *testing.T, play script, adjust ...func(*Options)) *fake {
	t.Helper()
	// The names of sockets are short.
	dir, err := os.MkdirTemp("", "vm-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	f := &fake{driver: &driver{play: play}, dir: dir}
	name, machines := "host-"+uuid.NewString(), filepath.Join(dir, "machines")
	claim, err := owner.Take(filepath.Join(dir, "owners"), owner.Record{Executor: name, Engine: EngineName, Parents: []string{dir, machines}})
	require.NoError(t, err)
	images := newLayouts(t, dir, "root", "one", "two", "three", "four")
	options := Options{
		CPUs: 1, Memory: 64 << 20, MemoryShown: "64M", Disk: fakeDisk, Kernel: "kernel", Initramfs: "initramfs", Root: "root",
		Dir: machines, Prefix: "executor", Grace: fakeGrace,
	}
	for _, a := range adjust {
		a(&options)
	}
	f.Runtime, err = New(log.NoOp(), f.driver, images, nil, claim, options)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, f.Close())
		require.NoError(t, images.Close())
		require.NoError(t, claim.Close())
		f.requireNothingLeft(t, machines)
	})
	return f
}

// machineDirs are the machines that have a directory.
func machineDirs(t testing.TB, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*-*"))
	require.NoError(t, err)
	return slices.DeleteFunc(found, func(path string) bool { return strings.HasPrefix(filepath.Base(path), ".blank-") })
}

func (f *fake) requireNothingLeft(t *testing.T, machines string) {
	t.Helper()
	for _, i := range f.driver.instances() {
		require.True(t, i.ended(), "a machine still runs")
		require.Positive(t, i.closed, "a machine was not closed")
	}
	require.Empty(t, machineDirs(t, machines))
	require.NoFileExists(t, filepath.Join(f.dir, "owners", f.claim.Executor()), "something is still tracked")
	locks, err := filepath.Glob(filepath.Join(f.dir, "images", "*.lock"))
	require.NoError(t, err)
	for _, lock := range locks {
		file, err := os.Open(lock)
		require.NoError(t, err)
		require.NoError(t, flock.Try(file, flock.Exclusive), "the disk of an image is still in use")
		require.NoError(t, flock.Release(file))
	}
}

// job is one with a small workspace.
func (f *fake) job(t *testing.T, log command.Log) runtime.Job {
	t.Helper()
	workspace, err := os.MkdirTemp(f.dir, "workspace-")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(workspace, "file"), []byte("content\n"), 0o600))
	return runtime.Job{ID: 1, Queue: "default", Executor: f.claim.Executor(), WorkspaceDir: workspace, Log: log}
}

// open begins a job.
func (f *fake) open(t *testing.T) (runtime.Session, *commandtest.Log) {
	t.Helper()
	log := commandtest.NewLog()
	session, err := f.Open(t.Context(), f.job(t, log))
	require.NoError(t, err)
	return session, log
}

// openHidden begins a job without the socket for people: whoever waits on one keeps a bubble's clock from running.
func (f *fake) openHidden(t *testing.T, log command.Log) *session {
	t.Helper()
	s := &session{runtime: f.Runtime, job: f.job(t, log)}
	m, _, err := f.pool.take(t.Context(), s.job.WorkspaceDir)
	require.NoError(t, err)
	require.NoError(t, s.settle(t.Context(), m))
	s.machine = m
	return s
}

var (
	program   = runtime.Step{Key: "step.src.0", Command: []string{"src", "version"}}
	container = runtime.Step{Key: "step.docker.0", Image: "one", Script: "s.sh"}
)

// allocates is how many bytes do asks for, with all that runs beside it: for tests that run alone.
func allocates(do func()) uint64 {
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	do()
	goruntime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
