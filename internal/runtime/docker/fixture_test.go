package docker

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime"
)

const (
	testGrace  = 3 * time.Second
	testMemory = "64m"
)

// fixture is a living executor with this runtime.
type fixture struct {
	runtime  *Runtime
	executor string
	dir      string
	claim    *owner.Claim
}

func newFixture(t *testing.T, adjust func(*Options)) *fixture {
	t.Helper()
	dir := t.TempDir()
	f := &fixture{dir: dir, executor: "host-" + uuid.NewString()}
	var err error
	f.claim, err = owner.Take(filepath.Join(dir, "owners"), owner.Record{Executor: f.executor, Engine: EngineName, Parents: []string{dir}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.claim.Close()) })
	options := Options{CPUs: 1, Memory: testMemory, PidsLimit: 200, Grace: testGrace, TempDir: dir}
	if adjust != nil {
		adjust(&options)
	}
	f.runtime, err = New(logtest.Scoped(t), &command.Runner{Mark: owner.Mark(f.executor)}, f.claim, options)
	require.NoError(t, err)
	return f
}

func (f *fixture) open(t *testing.T, id int64) (runtime.Session, runtime.Job, *commandtest.Log) {
	t.Helper()
	workspace, err := os.MkdirTemp(f.dir, "workspace-")
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(workspace, runtime.ScriptsDir), 0o755))
	log := commandtest.NewLog()
	job := runtime.Job{ID: id, Queue: "default", Attempt: 2, Executor: f.executor, WorkspaceDir: workspace, Log: log}
	session, err := f.runtime.Open(t.Context(), job)
	require.NoError(t, err)
	return session, job, log
}
