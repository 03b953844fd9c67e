package jobtree

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
)

func TestCleanDir(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]string{
		"":              ".",
		".":             ".",
		"/":             ".",
		"a":             "a",
		"/a/b/":         "a/b",
		"a/./b/../c":    "a/c",
		"a/..":          ".",
		"..a":           "..a",
		"...":           "...",
		"with space/ x": "with space/ x",
	} {
		got, err := CleanDir(dir)
		require.NoErrorf(t, err, "directory %q", dir)
		require.Equalf(t, want, got, "directory %q", dir)
	}
	for _, dir := range []string{"..", "../a", "/..", "a/../..", "a/../../b", "//../x", "a\x00"} {
		_, err := CleanDir(dir)
		require.Errorf(t, err, "directory %q", dir)
		require.Equal(t, fault.User, fault.ClassOf(err))
	}
}

func FuzzCleanDir(f *testing.F) {
	for _, seed := range []string{"", "a/b", "../x", "/../", "a/../../b", "..a/..", "./..//../"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, dir string) {
		cleaned, err := CleanDir(dir)
		if err != nil {
			return
		}
		below := path.Join("/data", cleaned)
		require.True(t, below == "/data" || strings.HasPrefix(below, "/data/"), "%q became %q", dir, below)
		require.True(t, filepath.IsLocal(cleaned), "%q became %q", dir, cleaned)
	})
}

func TestTakeFileFromAWorkspaceThatIsGone(t *testing.T) {
	t.Parallel()
	_, err := TakeFile(filepath.Join(t.TempDir(), "gone"), "skip.json", 10)
	require.ErrorContains(t, err, "opening the workspace")
	require.NotErrorIs(t, err, os.ErrNotExist, "it would mean that there is nothing to skip")
}
