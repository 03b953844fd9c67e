//go:build vm && linux

package microvm

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/vm/channel"
)

// Somebody looks into a machine while its job runs, and once it is over, and ends it.
func TestKeptMachines(t *testing.T) {
	s := newSite(t)
	e := s.executor(t, func(o *Options) { o.Keep = true })
	workspace := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(workspace, "file"), []byte("content\n"), 0o644))
	log := commandtest.NewLog()
	session, err := e.runtime.Open(t.Context(), runtime.Job{ID: 7, Queue: "default", Executor: e.name, WorkspaceDir: workspace, Log: log})
	require.NoError(t, err)
	machines, err := List(e.runtime.options.Dir)
	require.NoError(t, err)
	require.Len(t, machines, 1)
	require.EqualValues(t, 7, machines[0].Job)
	require.False(t, machines[0].Kept)

	look := func() string {
		client, err := Connect(t.Context(), e.runtime.options.Dir, machines[0].Name)
		require.NoError(t, err)
		defer func() { require.NoError(t, client.Close()) }()
		var out bytes.Buffer
		result, err := client.Do(t.Context(), channel.Request{Program: &channel.Program{
			Args: []string{"sh", "-c", "cat file; read word; echo got $word; exit 3"}, Env: ProgramEnv(), Dir: ".", Terminal: true,
		}}, channel.Streams{Input: io.MultiReader(bytes.NewReader([]byte("hello\n"))), Stdout: &out})
		require.NoError(t, err)
		require.Equal(t, 3, result.ExitCode)
		return out.String()
	}
	require.Contains(t, look(), "content\r\n")
	require.NoError(t, session.Close(t.Context()))
	require.Contains(t, log.Entry(t, removeKey).Out, "executor vm attach "+machines[0].Name)
	require.Contains(t, look(), "got hello\r\n")
	machines, err = List(e.runtime.options.Dir)
	require.NoError(t, err)
	require.Len(t, machines, 1)
	require.True(t, machines[0].Kept)

	client, err := Connect(t.Context(), e.runtime.options.Dir, machines[0].Name)
	require.NoError(t, err)
	// The answer may be lost with the connection.
	_, _ = client.Do(t.Context(), channel.Request{PowerOff: &channel.PowerOff{}}, channel.Streams{})
	require.NoError(t, client.Close())
	e.runtime.ending.Wait()
	left, err := e.leftovers(context.Background())
	require.NoError(t, err)
	require.Empty(t, left)
	_, err = Connect(t.Context(), e.runtime.options.Dir, machines[0].Name)
	require.ErrorContains(t, err, "executor vm list")
}
