// Package runtimetest is the conformance kit of runtimes: an implementation of runtime.Runtime earns its place by passing Run.
package runtimetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/runtime"
)

// tidyLimit bounds what a test does after its step.
const tidyLimit = time.Minute

// Harness is what the kit needs to test a runtime.
type Harness struct {
	// Runtime is under test.
	Runtime runtime.Runtime
	// Executor is the executor's name for the jobs.
	Executor string
	// Workspaces is an existing directory in which the kit makes workspaces that the runtime can use.
	Workspaces string
	// Image is for container steps. It needs sh with the usual small tools, setsid and sleep among them.
	Image string
	// Grace is the runtime's time between SIGTERM and SIGKILL; about a second keeps the tests short.
	Grace time.Duration
	// MemoryLimit is the limit as the log shows it, for runtimes with limits: no more than 64 MiB.
	MemoryLimit string
	// Put writes a file into the workspace of an open session, at once or not at all; nil when the workspace on the host is the one that steps
	// see. Path is slash-separated and relative to it.
	Put func(ctx context.Context, session runtime.Session, path string, content []byte) error
	// Leftovers names everything that the runtime made for the executor and that exists now, in a fixed order: processes,
	// containers, directories.
	Leftovers func(ctx context.Context) ([]string, error)
}

// Run tests a runtime. NewHarness is called once for each test, with that test; the tests run in parallel.
func Run(t *testing.T, newHarness func(t *testing.T) Harness) {
	t.Helper()
	capabilities := newHarness(t).Runtime.Capabilities()
	for _, part := range []struct {
		name   string
		test   func(t *testing.T, b *bundle)
		needed bool
	}{
		{"Capabilities", testCapabilities, true},
		{"ExitCodes", testExitCodes, true},
		{"Output", testOutput, true},
		{"BigOutput", testBigOutput, true},
		{"Environment", testEnvironment, true},
		{"BadEnvironment", testBadEnvironment, true},
		{"Directory", testDirectory, true},
		{"HostileDirectory", testHostileDirectory, true},
		{"FilesPassBetweenSteps", testFilesPassBetweenSteps, true},
		{"TakeFile", testTakeFile, true},
		{"StopHonoured", testStopHonoured, true},
		{"StopReachesChildren", testStopReachesChildren, true},
		{"StopIgnored", testStopIgnored, true},
		{"StopWithoutTrap", testStopWithoutTrap, true},
		{"StopBeforeStart", testStopBeforeStart, true},
		{"StopWhileStarting", testStopWhileStarting, true},
		{"Deadline", testDeadline, true},
		{"BackgroundProcesses", testBackgroundProcesses, true},
		{"DetachedProcesses", testDetachedProcesses, true},
		{"TwoSessions", testTwoSessions, true},
		{"OpenWithEndedContext", testOpenWithEndedContext, true},
		{"ReapSparesTheLiving", testReapSparesTheLiving, true},
		{"MissingImage", testMissingImage, capabilities.Isolated},
		{"BadImage", testBadImage, capabilities.Isolated},
		{"OutOfMemory", testOutOfMemory, capabilities.Limits},
		{"OutOfMemoryOfAChild", testOutOfMemoryOfAChild, capabilities.Limits},
	} {
		if !part.needed {
			continue
		}
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			part.test(t, newBundle(t, newHarness(t)))
		})
	}
}

var lastJob atomic.Int64

// bundle is one job in one session. It closes the session and looks for leftovers when the test ends.
type bundle struct {
	Harness
	job     runtime.Job
	session runtime.Session
	log     *commandtest.Log
	// key is the log key of its steps.
	key string
}

func newBundle(t *testing.T, harness Harness) *bundle {
	t.Helper()
	b := &bundle{Harness: harness}
	b.openJob(t)
	t.Cleanup(func() {
		b.close(t)
		require.Empty(t, b.leftovers(t))
	})
	return b
}

// another is a second job on the same runtime. It must be closed by the test.
func (b *bundle) another(t *testing.T) *bundle {
	t.Helper()
	other := &bundle{Harness: b.Harness}
	other.openJob(t)
	return other
}

func (b *bundle) openJob(t *testing.T) {
	t.Helper()
	workspace, err := os.MkdirTemp(b.Workspaces, "workspace-")
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(workspace, runtime.ScriptsDir), 0o755))
	b.log = commandtest.NewLog()
	b.job = runtime.Job{
		ID:           lastJob.Add(1),
		Queue:        "default",
		Attempt:      1,
		Executor:     b.Executor,
		WorkspaceDir: workspace,
		DockerAuth:   api.DockerAuthConfig{Auths: map[string]api.DockerAuth{"registry.invalid": {Auth: []byte("user:password")}}},
		Steps:        b.announced(),
		Log:          b.log,
	}
	b.key = b.Runtime.Capabilities().StepPrefix + "test"
	b.session, err = b.Runtime.Open(t.Context(), b.job)
	require.NoError(t, err)
}

// mostSteps is how many steps a test runs, at most.
const mostSteps = 9

// announced are steps of the image that tests run.
func (b *bundle) announced() []runtime.Step {
	steps := make([]runtime.Step, mostSteps)
	for i := range steps {
		steps[i] = runtime.Step{Key: fmt.Sprint(b.Runtime.Capabilities().StepPrefix, i), Image: b.Image}
	}
	return append(steps, runtime.Step{Key: b.Runtime.Capabilities().StepPrefix + "missing", Image: missingImage})
}

// close closes the session once.
func (b *bundle) close(t *testing.T) {
	t.Helper()
	if b.session == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tidyLimit)
	defer cancel()
	require.NoError(t, b.session.Close(ctx))
	b.session = nil
	b.log.RequireClosed(t)
}

func (b *bundle) leftovers(t *testing.T) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), tidyLimit)
	defer cancel()
	left, err := b.Leftovers(ctx)
	require.NoError(t, err)
	return left
}

// step makes a step of a script. Names tell steps of one test apart.
func (b *bundle) step(t *testing.T, name, script string) runtime.Step {
	t.Helper()
	file := name + ".sh"
	b.put(t, runtime.ScriptsDir+"/"+file, script)
	return runtime.Step{Key: b.key + "." + name, Image: b.Image, Script: file, Dir: "."}
}

// run runs a script as a step and returns what it wrote to the log.
func (b *bundle) run(t *testing.T, name, script string) (commandtest.Entry, error) {
	t.Helper()
	step := b.step(t, name, script)
	err := b.session.Run(t.Context(), step)
	return b.log.Entry(t, step.Key), err
}

// take takes a file of the workspace that must be there.
func (b *bundle) take(t *testing.T, path string) string {
	t.Helper()
	content, err := b.session.TakeFile(t.Context(), path, 1<<20)
	require.NoError(t, err)
	return string(content)
}
