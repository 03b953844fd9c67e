package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// kill leaves a scratch directory as a killed process does: the kernel gives up its lock.
func (s *scratch) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "frontend.db"), nil, 0o600))
	require.NoError(t, s.mark.Close())
}

func TestScratchIsPrivateAndGoes(t *testing.T) {
	t.Parallel()
	s, err := newScratch(t.TempDir())
	require.NoError(t, err)
	info, err := os.Stat(s.dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	require.NoError(t, s.remove())
	require.NoDirExists(t, s.dir)
}

func TestTheNextRunRemovesWhatAKilledOneLeft(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	killed, err := newScratch(parent)
	require.NoError(t, err)
	alive, err := newScratch(parent)
	require.NoError(t, err)
	killed.kill(t)

	next, err := newScratch(parent)
	require.NoError(t, err)
	require.NoDirExists(t, killed.dir)
	require.DirExists(t, alive.dir)
	require.NoError(t, alive.remove())
	require.NoError(t, next.remove())
}

func TestOnlyOwnDirectoriesAreRemoved(t *testing.T) {
	t.Parallel()
	parent, elsewhere := t.TempDir(), t.TempDir()
	for name, note := range map[string]string{"standalone-backup": "", "standalone-making": "", "standalone-notes": scratchNote + "more"} {
		dir := filepath.Join(parent, name)
		require.NoError(t, os.Mkdir(dir, 0o700))
		if name != "standalone-backup" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, scratchMark), []byte(note), 0o600))
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(parent, "standalone-file"), nil, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(parent, "other-1"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(parent, "other-1", scratchMark), []byte(scratchNote), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, scratchMark), []byte(scratchNote), 0o600))
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(parent, "standalone-link")))

	s, err := newScratch(parent)
	require.NoError(t, err)
	require.NoError(t, s.remove())
	for _, name := range []string{"standalone-backup", "standalone-making", "standalone-notes", "standalone-file", "standalone-link", "other-1"} {
		_, err := os.Lstat(filepath.Join(parent, name))
		require.NoError(t, err, name)
	}
	require.FileExists(t, filepath.Join(elsewhere, scratchMark))
}

func TestManyRunsStartTogether(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	for range 5 {
		killed, err := newScratch(parent)
		require.NoError(t, err)
		killed.kill(t)
	}
	all := make([]*scratch, 10)
	var starting sync.WaitGroup
	for i := range all {
		starting.Go(func() {
			var err error
			if all[i], err = newScratch(parent); err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Len(t, left, len(all))
	for _, s := range all {
		require.DirExists(t, s.dir)
		require.NoError(t, s.remove())
	}
}
