package owner

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// closedTree makes a tree with directories that their owner may not enter or write, and symlinks out of it.
func closedTree(t *testing.T, outside string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "workspace-1")
	deep := filepath.Join(path, "a", "b", "c")
	require.NoError(t, os.MkdirAll(deep, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(deep, "file"), nil, 0o400))
	require.NoError(t, os.Symlink(outside, filepath.Join(path, "a", "link")))
	for dir, mode := range map[string]os.FileMode{deep: 0o500, filepath.Join(path, "a", "b"): 0o000} {
		require.NoError(t, os.Chmod(dir, mode))
	}
	return path
}

func TestRemoveTree(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "keep"), nil, 0o600))
	require.NoError(t, os.Chmod(outside, 0o500))
	t.Cleanup(func() { _ = os.Chmod(outside, 0o700) })
	path := closedTree(t, outside)

	require.NoError(t, RemoveTree(path))
	require.NoFileExists(t, path)
	require.FileExists(t, filepath.Join(outside, "keep"))
	info, err := os.Stat(outside)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o500), info.Mode().Perm())
	require.NoError(t, RemoveTree(path), "a missing path is no error")

	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(outside, link))
	require.NoError(t, RemoveTree(link))
	require.FileExists(t, filepath.Join(outside, "keep"), "only the link goes")
}

// Root may do everything, so opening up is looked at by itself.
func TestOpenUp(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	require.NoError(t, os.Chmod(outside, 0o500))
	t.Cleanup(func() { _ = os.Chmod(outside, 0o700) })
	path := closedTree(t, outside)
	parent, err := os.OpenRoot(filepath.Dir(path))
	require.NoError(t, err)
	defer parent.Close()

	require.NoError(t, openUp(parent, filepath.Base(path)))
	for _, dir := range []string{".", "a", "a/b", "a/b/c"} {
		info, err := os.Lstat(filepath.Join(path, dir))
		require.NoError(t, err)
		require.Equalf(t, os.FileMode(0o700), info.Mode().Perm()&0o700, "%s", dir)
	}
	info, err := os.Stat(outside)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o500), info.Mode().Perm(), "nothing behind a symlink changes")
	require.ErrorIs(t, openUp(parent, "missing"), syscall.ENOENT)
}
