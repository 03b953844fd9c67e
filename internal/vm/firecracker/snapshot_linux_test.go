package firecracker

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/vm"
)

func paths(t *testing.T) Snapshot {
	t.Helper()
	dir := t.TempDir()
	return Snapshot{Memory: filepath.Join(dir, "memory"), State: filepath.Join(dir, "state")}
}

func TestMachinesGoOnFromASnapshot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	booted, err := r.Start(t.Context(), withLink(r.machine(t, behavior{})))
	require.NoError(t, err)
	snapshot := paths(t)
	require.NoError(t, r.Snapshot(t.Context(), booted, snapshot))
	<-booted.Done()
	r.requireNothing(t)
	for _, path := range []string{snapshot.Memory, snapshot.State} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.EqualValues(t, 0o444, info.Mode().Perm())
		require.True(t, realHost("").owns(info, os.Getuid()))
	}

	var guests []*guest
	for _, name := range []string{"machine-1", "machine-2"} {
		machine := withLink(r.machine(t, behavior{}))
		machine.Name, machine.Link.Name = name, "exvmtest-"+name[8:]
		i, err := r.Restore(t.Context(), machine, snapshot)
		require.NoError(t, err)
		guests = append(guests, hello(t, i))
	}
	require.Contains(t, r.told(t), "tap exvmtest-1")
	require.Contains(t, r.told(t), "tap exvmtest-2")
	for _, g := range guests {
		require.Equal(t, "image", g.read(t, "drive0"))
		require.NoError(t, g.Swap(t.Context(), 0, file(t, "other image", os.O_RDONLY)))
		require.Equal(t, "other image", g.read(t, "drive0"))
		require.NoError(t, g.Close())
	}
	r.requireNothing(t)
}

func TestSnapshotsThatCannotBe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, test := range map[string]struct {
		behavior behavior
		disturb  func(*testing.T, vm.Instance)
		says     string
	}{
		"in use": {behavior{}, func(t *testing.T, i vm.Instance) { hello(t, i) }, "its channel is in use"},
		"swapped": {behavior{}, func(t *testing.T, i vm.Instance) {
			require.NoError(t, i.Swap(t.Context(), 0, file(t, "x", os.O_RDONLY)))
		}, "drive 0 was swapped"},
		"refused": {behavior{Refuse: "PUT /snapshot/create"}, func(*testing.T, vm.Instance) {}, "refused on purpose"},
		"dead":    {behavior{}, func(t *testing.T, i vm.Instance) { require.NoError(t, i.Close()) }, errEnded.Error()},
	} {
		i, err := r.Start(t.Context(), r.machine(t, test.behavior))
		require.NoError(t, err)
		test.disturb(t, i)
		to := paths(t)
		require.ErrorContains(t, r.Snapshot(t.Context(), i, to), test.says, name)
		<-i.Done()
		require.NoFileExists(t, to.Memory)
		require.NoFileExists(t, to.State)
		r.requireNothing(t)
	}
	to := paths(t)
	require.NoError(t, os.WriteFile(to.State, []byte("somebody's"), 0o600))
	i, err := r.Start(t.Context(), r.machine(t, behavior{}))
	require.NoError(t, err)
	require.ErrorIs(t, r.Snapshot(t.Context(), i, to), os.ErrExist)
	require.FileExists(t, to.State, "it was there before")
	require.NoFileExists(t, to.Memory)
	require.ErrorContains(t, newRig(t).Snapshot(t.Context(), i, to), "another driver's")
}

func TestARestoreThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.Restore(t.Context(), r.machine(t, behavior{}), paths(t))
	require.ErrorIs(t, err, os.ErrNotExist)
	r.requireNothing(t)
	broken := paths(t)
	require.NoError(t, os.WriteFile(broken.Memory, nil, 0o444))
	require.NoError(t, os.WriteFile(broken.State, []byte("nonsense"), 0o444))
	_, err = r.Restore(t.Context(), r.machine(t, behavior{}), broken)
	require.ErrorContains(t, err, "PUT /snapshot/load: refused (400 Bad Request)")
	r.requireNothing(t)
}
