//go:build docker

package docker

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sourcegraph/log"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime"
)

// victimDir makes this test binary play an executor on that directory, which is killed while a step runs.
const victimDir = "DOCKER_TEST_VICTIM_DIR"

// playExecutor is called instead of the tests.
func init() {
	if dir := os.Getenv(victimDir); dir != "" {
		err := playExecutor(dir, os.Getenv("DOCKER_TEST_VICTIM_NAME"), os.Getenv("EXECUTOR_TEST_IMAGE"))
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func playExecutor(dir, name, image string) error {
	claim, err := owner.Take(filepath.Join(dir, "owners"), owner.Record{Executor: name, Engine: EngineName, Parents: []string{dir}})
	if err != nil {
		return err
	}
	r, err := New(log.NoOp(), &command.Runner{Mark: owner.Mark(name)}, claim, Options{TempDir: dir})
	if err != nil {
		return err
	}
	workspace := filepath.Join(dir, "workspace-1")
	claim.Track(workspace)
	if err := os.MkdirAll(filepath.Join(workspace, runtime.ScriptsDir), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(workspace, runtime.ScriptsDir, "s.sh"), []byte("echo up; sleep 1000"), 0o755); err != nil {
		return err
	}
	session, err := r.Open(context.Background(), runtime.Job{ID: 1, Queue: "default", Executor: name, WorkspaceDir: workspace, Log: stdoutLog{}})
	if err != nil {
		return err
	}
	return session.Run(context.Background(), runtime.Step{Key: "step.docker.0", Image: image, Script: "s.sh", Env: []string{"A=b"}})
}

// stdoutLog prints what steps print.
type stdoutLog struct{}

func (stdoutLog) Open(string, []string) command.Entry { return stdoutLog{} }
func (stdoutLog) Write(p []byte) (int, error)         { return os.Stderr.Write(p) }
func (stdoutLog) Stdout() io.Writer                   { return os.Stdout }
func (stdoutLog) Stderr() io.Writer                   { return os.Stderr }
func (stdoutLog) Close(int)                           {}

func TestReapAfterSIGKILL(t *testing.T) {
	t.Parallel()
	image := testImage(t)
	f := newFixture(t, nil)
	name := "host-victim-" + uuid.NewString()
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), victimDir+"="+f.dir, "DOCKER_TEST_VICTIM_NAME="+name, "EXECUTOR_TEST_IMAGE="+image)
	victim.Stderr = os.Stderr
	output, err := victim.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, victim.Start())
	t.Cleanup(func() { _ = victim.Process.Kill() })
	said, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "up\n", said)

	_, err = f.runtime.Reap(t.Context())
	require.NoError(t, err)
	require.DirExists(t, filepath.Join(f.dir, "workspace-1"), "it lives")
	require.NoError(t, victim.Process.Kill())
	require.Error(t, victim.Wait())
	left, err := f.runtime.engine.list(t.Context(), labelExecutor+"="+name)
	require.NoError(t, err)
	require.Len(t, left, 1, "its container outlives it")

	removed, err := f.runtime.Reap(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, removed, 3, "at least its container, its directory and its workspace; the client may have ended by itself")
	left, err = f.runtime.engine.list(t.Context(), labelExecutor+"="+name)
	require.NoError(t, err)
	require.Empty(t, left)
	clients, err := owner.KillMarked(t.Context(), owner.Mark(name))
	require.NoError(t, err)
	require.Zero(t, clients, "its clients are dead")
	entries, err := os.ReadDir(f.dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "only the owner records")
}

func TestReapOfContainers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	session, _, _ := f.open(t, 51)
	defer func() { require.NoError(t, session.Close(context.Background())) }()
	stranger := "host-stranger-" + uuid.NewString()
	at := func(d time.Duration) string {
		return labelDeadline + "=" + time.Now().Add(d).UTC().Format(time.RFC3339)
	}
	create := func(labels ...string) string {
		words := []string{"create", "--entrypoint", "/bin/sh"}
		for _, label := range labels {
			words = append(words, "--label", label)
		}
		id, err := f.runtime.engine.call(t.Context(), defaultLimits.query, append(words, testImage(t))...)
		require.NoError(t, err)
		id = strings.TrimSpace(id)
		t.Cleanup(func() { _ = f.runtime.engine.remove(context.Background(), id) })
		return id
	}
	spared := map[string]string{
		"another host's, running":         create(managedBy, labelExecutor+"="+stranger, at(time.Hour)),
		"another host's, late":            create(managedBy, labelExecutor+"="+stranger, at(-50*time.Minute)),
		"another host's, without limit":   create(managedBy, labelExecutor+"="+stranger),
		"somebody else's":                 create("other=1", at(-2*time.Hour)),
		"ours, of a session that is open": create(managedBy, labelExecutor+"="+f.executor, labelSession+"="+sessionName(session), at(time.Hour)),
	}
	reaped := map[string]string{
		"unknown owner, expired":         create(managedBy, labelExecutor+"="+stranger, at(-2*time.Hour)),
		"ours, of a session that closed": create(managedBy, labelExecutor+"="+f.executor, labelSession+"=closed", at(time.Hour)),
	}
	_, err := f.runtime.Reap(t.Context())
	require.NoError(t, err)
	exists := func(id string) bool {
		_, err := f.runtime.engine.call(t.Context(), defaultLimits.query, "inspect", "--format", "{{.Id}}", id)
		return err == nil
	}
	for what, id := range spared {
		require.Truef(t, exists(id), "%s", what)
	}
	for what, id := range reaped {
		require.Falsef(t, exists(id), "%s", what)
	}
}

// sessionName is the value of the session label.
func sessionName(s runtime.Session) string { return s.(*session).name }
