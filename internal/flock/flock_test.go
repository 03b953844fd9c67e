package flock

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func open(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	return file
}

func TestOneHoldsAnExclusiveLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, second := open(t, path), open(t, path)
	require.NoError(t, Try(first, Exclusive))
	require.ErrorIs(t, Try(second, Exclusive), ErrHeld)
	require.ErrorIs(t, Try(second, Shared), ErrHeld)
	require.NoError(t, Release(first))
	require.NoError(t, Try(second, Exclusive))
}

func TestManyHoldASharedLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, second := open(t, path), open(t, path)
	require.NoError(t, Try(first, Shared))
	require.NoError(t, Try(second, Shared))
	require.ErrorIs(t, Try(open(t, path), Exclusive), ErrHeld)
}

// A child that is being started has copies of all open files until it runs its program.
func TestReleaseFreesALockThatACopyOfTheFileStillHas(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	file := open(t, path)
	require.NoError(t, Try(file, Exclusive))
	held, err := syscall.Dup(int(file.Fd()))
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Close(held)) }()
	require.NoError(t, Release(file))
	require.NoError(t, Try(open(t, path), Exclusive))
}
