package sqlite

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A process that is forked while the database is open has the lock's file, too, until it runs its program. Closing the database must
// free the lock all the same.
func TestTheLockIsFreeAfterCloseThoughAChildIsBeingStarted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	lock, err := lockFile(path)
	require.NoError(t, err)
	inherited, err := syscall.Dup(int(lock.file.Fd()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Close(inherited)) })
	_, err = lockFile(path)
	require.ErrorContains(t, err, "another process has it open")
	require.NoError(t, lock.Close())

	again, err := lockFile(path)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}
