package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/store"
	"github.com/open-executor/executor/internal/store/storetest"
)

func options(clock *storetest.Clock) Options {
	return Options{
		LeaseTime:   storetest.LeaseTime,
		RetryDelay:  storetest.RetryDelay,
		MaxLogBytes: storetest.MaxLogBytes,
		Clock:       clock.Now,
		Monotonic:   clock.Monotonic,
	}
}

func open(t testing.TB, path string, options Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestConformanceOnFile(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, clock *storetest.Clock) store.Store {
		return open(t, filepath.Join(t.TempDir(), "queue.db"), options(clock))
	})
}

func TestConformanceInMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, clock *storetest.Clock) store.Store {
		return open(t, Memory, options(clock))
	})
}

func TestPersistence(t *testing.T) {
	t.Parallel()
	storetest.RunPersistent(t, func(t *testing.T, dir string, clock *storetest.Clock) store.Store {
		return open(t, filepath.Join(dir, "queue.db"), options(clock))
	})
}
