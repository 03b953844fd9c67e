//go:build vm && linux

package microvm

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/agentstep"
)

// The startup script installs a src, by which the src steps then run: beside the containers, in the workspace.
func TestStartupScriptAndSrcSteps(t *testing.T) {
	s := newSite(t)
	script := filepath.Join(t.TempDir(), "startup")
	require.NoError(t, os.WriteFile(script, []byte(`#!/bin/sh
echo starting
mkdir -p /usr/local/bin
printf '#!/bin/sh\necho "src $* in $PWD with $TOKEN"; cat file; exit 6\n' > /usr/local/bin/src
chmod +x /usr/local/bin/src
`), 0o755))
	e := s.executor(t, func(o *Options) { o.StartupScript = script })
	workspace := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(workspace, "sub"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(workspace, "sub", "file"), []byte("content\n"), 0o644))
	log := commandtest.NewLog()
	opened, err := e.runtime.Open(t.Context(), runtime.Job{ID: 1, Queue: "default", Executor: e.name, WorkspaceDir: workspace, Log: log})
	require.NoError(t, err)
	require.Equal(t, "stdout: starting\n", log.Entry(t, scriptKey).Out)
	require.Equal(t, []string{script}, log.Entry(t, scriptKey).Command)

	step := runtime.Step{Key: "step.src.0", Command: []string{"src", "lsif", "upload"}, Dir: "sub", Env: []string{"TOKEN=secret"}}
	var exit *command.ExitError
	require.ErrorAs(t, opened.Run(t.Context(), step), &exit)
	require.Equal(t, 6, exit.Code)
	require.Equal(t, "stdout: src lsif upload in /run/job/workspace/sub with secret\nstdout: content\n", log.Entry(t, step.Key).Out)

	step = runtime.Step{Key: "step.src.1", Command: []string{"other"}, Dir: "."}
	err = opened.Run(t.Context(), step)
	require.ErrorAs(t, err, &exit)
	require.Equal(t, agentstep.CodeNotFound, exit.Code)
	require.Equal(t, fault.User, fault.ClassOf(err))
	require.Contains(t, log.Entry(t, step.Key).Out, "The step did not start: ")
	require.NoError(t, opened.Close(t.Context()))
	require.Equal(t, []string{startKey, scriptKey, "step.src.0", "step.src.1", removeKey}, log.Keys())
	log.RequireClosed(t)
}

// A startup script that fails keeps the job from starting, and leaves nothing.
func TestStartupScriptFails(t *testing.T) {
	s := newSite(t)
	script := filepath.Join(t.TempDir(), "startup")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho no >&2; exit 4\n"), 0o755))
	e := s.executor(t, func(o *Options) { o.StartupScript = script })
	log := commandtest.NewLog()
	_, err := e.runtime.Open(t.Context(), runtime.Job{ID: 1, Queue: "default", Executor: e.name, WorkspaceDir: t.TempDir(), Log: log})
	require.ErrorContains(t, err, "failed to run startup script: command failed with exit code 4")
	require.Equal(t, "stderr: no\n", log.Entry(t, scriptKey).Out)
	left, err := e.leftovers(t.Context())
	require.NoError(t, err)
	require.Empty(t, left)
}
