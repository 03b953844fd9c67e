package owner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSweepOfAnEngine(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	claim, err := Take(dir, Record{Executor: "host-a", Engine: "docker", Parents: []string{parent}})
	require.NoError(t, err)
	workspace := filepath.Join(parent, "workspace-1")
	require.NoError(t, os.Mkdir(workspace, 0o700))
	claim.Track(workspace)
	crash(t, claim)

	removed, err := Sweep(t.Context(), dir, Engine{})
	require.NoError(t, err)
	require.Equal(t, 1, removed, "the directory goes, the record waits for the engine")

	down := errors.New("engine is down")
	_, err = Sweep(t.Context(), dir, Engine{Name: "docker", Remove: func(context.Context, string) (int, error) { return 0, down }})
	require.ErrorIs(t, err, down)
	require.ErrorContains(t, err, "host-a")

	var asked []string
	docker := Engine{Name: "docker", Remove: func(_ context.Context, executor string) (int, error) {
		asked = append(asked, executor)
		return 3, nil
	}}
	removed, err = Sweep(t.Context(), dir, docker)
	require.NoError(t, err)
	require.Equal(t, []string{"host-a"}, asked)
	require.Equal(t, 4, removed)
	removed, err = Sweep(t.Context(), dir, docker)
	require.NoError(t, err)
	require.Zero(t, removed)
}

func TestSweepGoesOnPastAFailure(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	bad, good := take(t, dir, "host-bad", parent), take(t, dir, "host-good", parent)
	bad.Track("/elsewhere")
	workspace := filepath.Join(parent, "workspace-1")
	require.NoError(t, os.Mkdir(workspace, 0o700))
	good.Track(workspace)
	crash(t, bad)
	crash(t, good)

	removed, err := Sweep(t.Context(), dir, Engine{})
	require.ErrorContains(t, err, "/elsewhere")
	require.Equal(t, 1, removed)
	require.NoDirExists(t, workspace)
	left := findAbandoned(t, dir)
	require.Len(t, left, 1)
	require.Equal(t, "host-bad", left[0].Executor)
}

func TestSweepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	crash(t, take(t, dir, "host-a", parent))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Sweep(ctx, dir, Engine{})
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, findAbandoned(t, dir), 1, "the record is kept")
}
