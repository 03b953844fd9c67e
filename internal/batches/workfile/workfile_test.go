package workfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
)

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("12345"), 0o600))
	got, err := Read(dir, "file", 5)
	require.NoError(t, err)
	require.Equal(t, "12345", string(got))
	_, err = Read(dir, "absent", 5)
	require.ErrorIs(t, err, fs.ErrNotExist)

	require.NoError(t, os.Symlink("file", filepath.Join(dir, "link")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dir"), 0o700))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	for name, want := range map[string]string{"link": "not a regular file", "dir": "not a regular file", "pipe": "not a regular file", "file": "is larger than"} {
		_, err := Read(dir, name, 4)
		require.ErrorContains(t, err, want, name)
		require.Equal(t, fault.User, fault.ClassOf(err), name)
	}
	_, err = Read(dir, "../x", 4)
	require.ErrorContains(t, err, "escapes")
}
