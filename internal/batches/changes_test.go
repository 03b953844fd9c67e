package batches

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func git(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	out, err := cmd.Output()
	require.NoError(t, err)
	return out
}

// What is read from a diff is what git itself tells of the same change.
func TestChangesInADiffOfGits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	long := strings.Repeat("a line of a file that is renamed\n", 20)
	for name, text := range map[string]string{
		"modified": "a\n", "with space": "a\n", "new\nline \"é\"": "a\n", "deleted": "a\n", "empty deleted": "", "binary\x01": "\x00a", "mode": "x", "old": long,
		"changed old": long, "sub/x y": "diff --git a b\n--- a\n+++ b\n", "binary deleted": "\x00",
	} {
		write(name, text)
	}
	git(t, dir, "add", "--all")
	git(t, dir, "commit", "-qm", "first")
	for _, name := range []string{"modified", "with space", "new\nline \"é\""} {
		write(name, "b\n")
	}
	write("binary\x01", "\x00b"+string(bytes.Repeat([]byte{7, 200, 3}, 300)))
	write("sub/x y", "--- /dev/null\n+++ other\ndiff --git c d\n")
	require.NoError(t, os.Chmod(filepath.Join(dir, "mode"), 0o755))
	for _, name := range []string{"deleted", "empty deleted", "binary deleted"} {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	require.NoError(t, os.Rename(filepath.Join(dir, "old"), filepath.Join(dir, "re named")))
	require.NoError(t, os.Rename(filepath.Join(dir, "changed old"), filepath.Join(dir, "sub/renamed")))
	write("sub/renamed", long+"more\n")
	write("added", "x")
	write("empty added", "")
	write("-- a", "x\n")
	git(t, dir, "add", "--all")

	got, err := ChangesIn(git(t, dir, "diff", "--cached", "--no-prefix", "--binary"))
	require.NoError(t, err)
	want := Changes{}
	fields := strings.Split(strings.TrimSuffix(string(git(t, dir, "diff", "--cached", "--name-status", "-z")), "\x00"), "\x00")
	for len(fields) > 0 {
		switch fields[0][0] {
		case 'M':
			want.Modified = append(want.Modified, fields[1])
		case 'A':
			want.Added = append(want.Added, fields[1])
		case 'D':
			want.Deleted = append(want.Deleted, fields[1])
		case 'R':
			want.Renamed = append(want.Renamed, fields[2])
			fields = fields[1:]
		}
		fields = fields[2:]
	}
	require.Len(t, want.Renamed, 3)
	require.Len(t, want.Modified, 6)
	require.Equal(t, want, got)
}

func TestChangesInOtherText(t *testing.T) {
	t.Parallel()
	got, err := ChangesIn(nil)
	require.NoError(t, err)
	require.Equal(t, Changes{}, got)
	for text, want := range map[string]string{
		"hello":                             `a diff of git's begins with "diff --git ", this one with "hello"`,
		"diff --git a b\nold mode 100644\n": "doesn't have one name twice",
		"diff --git a a\n+++ \"a\\q\"\n":    "the name",
	} {
		_, err := ChangesIn([]byte(text))
		require.ErrorContains(t, err, want)
	}
}

func FuzzChangesIn(f *testing.F) {
	f.Add([]byte("diff --git a a\nnew file mode 100644\n--- /dev/null\n+++ a\n@@ -0,0 +1 @@\n+x\n"))
	f.Add([]byte("diff --git \"\\303\" \"\\303\"\nGIT binary patch\n"))
	f.Fuzz(func(t *testing.T, diff []byte) {
		changes, err := ChangesIn(diff)
		if err == nil {
			names := slices.Concat(changes.Added, changes.Deleted, changes.Modified, changes.Renamed)
			require.Len(t, names, bytes.Count(append([]byte("\n"), diff...), []byte("\ndiff --git ")))
		}
	})
}
