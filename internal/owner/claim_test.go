package owner

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
)

func TestTakeMakesAPrivateDirectory(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	take(t, dir, "host-a", parent)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	info, err = os.Stat(filepath.Join(dir, "host-a"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestTakeRefusesUnsafeDirectories(t *testing.T) {
	t.Parallel()
	for name, makeDir := range map[string]func(t *testing.T, dir string){
		"open to others": func(t *testing.T, dir string) { require.NoError(t, os.Mkdir(dir, 0o755)) },
		"symlink":        func(t *testing.T, dir string) { require.NoError(t, os.Symlink(t.TempDir(), dir)) },
		"file":           func(t *testing.T, dir string) { require.NoError(t, os.WriteFile(dir, nil, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _ := stateDir(t)
			makeDir(t, dir)
			_, err := Take(dir, Record{Executor: "host-a"})
			require.ErrorContains(t, err, dir)
			require.Equal(t, fault.Operator, fault.ClassOf(err))
		})
	}
}

func TestTakeRefusesNames(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	take(t, dir, "host-a", parent)
	for _, name := range []string{"", ".", ".making-x", "a/b", "../x", "a\nb", "a\x00b", "host-a"} {
		_, err := Take(dir, Record{Executor: name})
		require.Errorf(t, err, "name %q", name)
	}
	_, err := Take(dir, Record{Executor: "host-b", Parents: []string{"relative"}})
	require.ErrorContains(t, err, "not absolute")
}

func TestCloseRemovesTheRecordOnlyWhenNothingIsTracked(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	clean, dirty := take(t, dir, "host-clean", parent), take(t, dir, "host-dirty", parent)
	clean.Track(filepath.Join(parent, "workspace-1"))()
	dirty.Track(filepath.Join(parent, "workspace-2"))
	require.NoError(t, clean.Close())
	require.NoError(t, clean.Close(), "a second close does nothing")
	require.NoError(t, dirty.Close())

	found := findAbandoned(t, dir)
	require.Len(t, found, 1)
	require.Equal(t, "host-dirty", found[0].Executor)
	require.Equal(t, []string{filepath.Join(parent, "workspace-2")}, found[0].Paths)
}

func TestJournalIsCutDownOnceNothingIsTracked(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	claim := take(t, dir, "host-a", parent)
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "host-a"))
		require.NoError(t, err)
		return info.Size()
	}
	empty := size()
	hold := claim.Track(filepath.Join(parent, "held"))
	for i := range compactAbove / 50 {
		claim.Track(filepath.Join(parent, fmt.Sprintf("workspace-%d", i)))()
	}
	require.Greater(t, size(), int64(compactAbove))
	hold()
	require.Equal(t, empty, size())

	claim.Track(filepath.Join(parent, "last"))
	crash(t, claim)
	require.Equal(t, []string{filepath.Join(parent, "last")}, findAbandoned(t, dir)[0].Paths)
}

func TestLinesThatCouldNotBeWrittenFollowLater(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	claim := take(t, dir, "host-a", parent)
	writable := claim.file
	broken, err := os.Open(writable.Name())
	if err != nil {
		broken, err = os.Open(claim.path)
	}
	require.NoError(t, err)
	claim.file = broken
	claim.Track(filepath.Join(parent, "one"))
	require.NoError(t, broken.Close())
	claim.file = writable
	claim.Track(filepath.Join(parent, "two"))
	crash(t, claim)
	require.Equal(t, []string{filepath.Join(parent, "one"), filepath.Join(parent, "two")}, findAbandoned(t, dir)[0].Paths)
}

func TestTrackIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	claim := take(t, dir, "host-a", parent)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			release := claim.Track(filepath.Join(parent, fmt.Sprintf("workspace-%d", i)))
			if i%2 == 0 {
				release()
				release()
			}
		})
	}
	all.Wait()
	crash(t, claim)
	require.Len(t, findAbandoned(t, dir)[0].Paths, 10)
}

func TestAClaimOutlivesItsLastReference(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	_, err := Take(dir, Record{Executor: "host-a", Parents: []string{parent}})
	require.NoError(t, err)
	for range 3 {
		runtime.GC()
	}
	require.Empty(t, findAbandoned(t, dir))
}
