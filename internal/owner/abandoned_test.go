package owner

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// findAbandoned gives the records back when the test ends.
func findAbandoned(t *testing.T, dir string) []*Abandoned {
	t.Helper()
	found, err := FindAbandoned(dir)
	require.NoError(t, err)
	for _, abandoned := range found {
		t.Cleanup(func() { _ = abandoned.file.Close() })
	}
	return found
}

func TestFindAbandonedWithoutDirectory(t *testing.T) {
	t.Parallel()
	dir, _ := stateDir(t)
	require.Empty(t, findAbandoned(t, dir))
}

func TestLivingExecutorsAreNotFound(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	take(t, dir, "host-a", parent).Track(filepath.Join(parent, "workspace-1"))
	require.Empty(t, findAbandoned(t, dir))
}

func TestAnAbandonedRecordHasOneReaper(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	crash(t, take(t, dir, "host-a", parent))
	first := findAbandoned(t, dir)
	require.Len(t, first, 1)
	require.Empty(t, findAbandoned(t, dir), "it is being reaped")
	require.NoError(t, first[0].Release())
	again := findAbandoned(t, dir)
	require.Len(t, again, 1)
	require.NoError(t, again[0].Forget())
	require.Empty(t, findAbandoned(t, dir))
}

// Executors that start together neither take each other for dead nor reap anything twice.
func TestManyStartAndReapTogether(t *testing.T) {
	t.Parallel()
	const dead, starting = 20, 10
	dir, parent := stateDir(t)
	for i := range dead {
		crash(t, take(t, dir, fmt.Sprintf("host-dead-%d", i), parent))
	}
	var reaped atomic.Int64
	var all sync.WaitGroup
	for i := range starting {
		all.Go(func() {
			claim, err := Take(dir, Record{Executor: fmt.Sprintf("host-new-%d", i), Parents: []string{parent}})
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _ = claim.Close() })
			found, err := FindAbandoned(dir)
			if err != nil {
				t.Error(err)
			}
			for _, abandoned := range found {
				if err := abandoned.Forget(); err != nil {
					t.Error(err)
				}
				reaped.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, dead, reaped.Load())
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, starting, "the living keep their records")
}

func TestUnreadableRecordsHideNoOthers(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	crash(t, take(t, dir, "host-a", parent))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "host-garbage"), []byte("?\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "host-other"), []byte(`{"executor":"host-x","parents":[]}`+"\n"), 0o600))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "host-link")))
	found, err := FindAbandoned(dir)
	require.ErrorContains(t, err, "host-garbage")
	require.ErrorContains(t, err, "host-other")
	require.ErrorContains(t, err, "host-link")
	require.Len(t, found, 1)
	require.NoError(t, found[0].Release())
}

func TestStillbornRecordsGoAfterAWhile(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	take(t, dir, "host-a", parent)
	young, old := filepath.Join(dir, makingPrefix+"young"), filepath.Join(dir, makingPrefix+"old")
	require.NoError(t, os.WriteFile(young, nil, 0o600))
	require.NoError(t, os.WriteFile(old, nil, 0o600))
	past := time.Now().Add(-2 * makingLimit)
	require.NoError(t, os.Chtimes(old, past, past))
	require.Empty(t, findAbandoned(t, dir))
	require.FileExists(t, young)
	require.NoFileExists(t, old)
}

func TestRemoveRefusesWhatWasNotTrackedOrLiesElsewhere(t *testing.T) {
	t.Parallel()
	dir, parent := stateDir(t)
	inside, elsewhere := filepath.Join(parent, "workspace-1"), filepath.Join(t.TempDir(), "victim")
	untracked, deeper := filepath.Join(parent, "untracked"), filepath.Join(parent, "untracked", "deep")
	for _, path := range []string{inside, elsewhere, untracked, deeper} {
		require.NoError(t, os.Mkdir(path, 0o700))
	}
	claim := take(t, dir, "host-a", parent, "/")
	for _, path := range []string{inside, elsewhere, deeper, parent, "/"} {
		claim.Track(path)
	}
	crash(t, claim)
	abandoned := findAbandoned(t, dir)[0]

	require.NoError(t, abandoned.Remove(inside))
	require.NoDirExists(t, inside)
	require.NoError(t, abandoned.Remove(inside), "gone already")
	for _, path := range []string{elsewhere, untracked, deeper, parent, "/", inside + "/", inside + "/../untracked", ""} {
		require.ErrorContainsf(t, abandoned.Remove(path), "not removing", "path %q", path)
	}
	require.DirExists(t, elsewhere)
	require.DirExists(t, deeper)
}

func FuzzParseJournal(f *testing.F) {
	for _, seed := range []string{
		"",
		"{}",
		"{}\n",
		`{"executor":"a","engine":"docker","parents":["/tmp"]}` + "\n" + `{"track":"/tmp/a"}` + "\n" + `{"track":"/tmp/b"}` + "\n" + `{"release":"/tmp/a"}` + "\n",
		`{"executor":"a","parents":["/tmp"]}` + "\n" + `{"track":"/tmp/to` + "\n" + `{"track":"/tmp/b"}` + "\n" + `{"track":"/tmp/unended"}`,
		`{"executor":"a"}` + "\n" + `[1]` + "\n" + `null` + "\n\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, journal []byte) {
		_, tracked, err := parseJournal(journal)
		if err != nil {
			require.Empty(t, tracked)
			return
		}
		// Releasing all that is tracked leaves nothing, whatever came before.
		whole := append([]byte{}, journal...)
		whole = append(whole, '\n')
		_, tracked, err = parseJournal(whole)
		require.NoError(t, err)
		for _, path := range tracked {
			whole = append(whole, entry{Release: path}.encode()...)
		}
		_, tracked, err = parseJournal(whole)
		require.NoError(t, err)
		require.Empty(t, tracked)
	})
}

func TestParseJournal(t *testing.T) {
	t.Parallel()
	record, tracked, err := parseJournal([]byte(`{"executor":"a","engine":"docker","parents":["/tmp"]}` + "\n" +
		`{"track":"/tmp/a"}` + "\n" + `{"track":"/tmp/torn` + "\n" + `{"track":"/tmp/b"}` + "\n" + `{"track":"/tmp/b"}` + "\n" +
		`{"release":"/tmp/a"}` + "\n" + `{"track":"/tmp/unended"}`))
	require.NoError(t, err)
	require.Equal(t, Record{Executor: "a", Engine: "docker", Parents: []string{"/tmp"}}, record)
	require.Equal(t, []string{"/tmp/b"}, tracked)
	_, _, err = parseJournal([]byte(`{"executor":"a"}`))
	require.Error(t, err, "a first line without its end is torn")
}
