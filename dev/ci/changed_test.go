package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/ci/plan"
)

// checkout is a repository whose branch "work" left main one commit before main's end.
type checkout struct {
	t   *testing.T
	dir string
}

func newCheckout(t *testing.T) checkout {
	t.Helper()
	c := checkout{t, t.TempDir()}
	c.do("init", "--quiet", "--initial-branch=main")
	c.commit("README.md", "docker-mirror/old.sh")
	c.do("switch", "--quiet", "--create", "work")
	c.commit("docs/a b.md")
	c.do("switch", "--quiet", "main")
	c.commit("vm-image/new.sh")
	c.do("update-ref", "refs/remotes/origin/main", "main")
	c.do("switch", "--quiet", "work")
	return c
}

func (c checkout) do(args ...string) string {
	c.t.Helper()
	command := exec.CommandContext(c.t.Context(), "git", args...)
	command.Dir = c.dir
	command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := command.CombinedOutput()
	require.NoError(c.t, err, "git %v: %s", args, out)
	return strings.TrimSpace(string(out))
}

func (c checkout) commit(files ...string) {
	c.t.Helper()
	for _, file := range files {
		path := filepath.Join(c.dir, file)
		require.NoError(c.t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(c.t, os.WriteFile(path, []byte(file), 0o644))
	}
	c.do("add", ".")
	c.do("commit", "--quiet", "--message", "Change something")
}

func (c checkout) changed(branch string) ([]string, error) {
	c.t.Helper()
	in := inputs{build: plan.Build{Branch: branch, Commit: c.do("rev-parse", "HEAD")}}
	return program{git: gitIn(c.dir)}.changedFiles(c.t.Context(), in)
}

// Only what the branch itself did counts, not what main did since.
func TestChangedFilesOfABranch(t *testing.T) {
	t.Parallel()
	files, err := newCheckout(t).changed("work")
	require.NoError(t, err)
	require.Equal(t, []string{"docs/a b.md"}, files)
}

// A file that moved away counts where it was, and so does one that is deleted.
func TestChangedFilesThatAreGone(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	c.do("mv", "docker-mirror/old.sh", "moved.sh")
	c.do("rm", "--quiet", "README.md")
	c.commit()
	files, err := c.changed("work")
	require.NoError(t, err)
	require.Equal(t, []string{"README.md", "docker-mirror/old.sh", "docs/a b.md", "moved.sh"}, files)
}

func TestChangedFilesOfMain(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	c.do("switch", "--quiet", "main")
	files, err := c.changed("main")
	require.NoError(t, err)
	require.Equal(t, []string{"vm-image/new.sh"}, files)
	// A merge brings what its branch did.
	c.do("merge", "--quiet", "--no-edit", "work")
	files, err = c.changed("main")
	require.NoError(t, err)
	require.Equal(t, []string{"docs/a b.md"}, files)
}

func TestChangedFilesUnknown(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	c.do("update-ref", "-d", "refs/remotes/origin/main")
	_, err := c.changed("work")
	require.ErrorContains(t, err, "git merge-base")
	require.ErrorContains(t, err, "refs/remotes/origin/main")

	shallow := checkout{t, filepath.Join(t.TempDir(), "shallow")}
	c.do("clone", "--quiet", "--depth=1", "--branch=main", "file://"+c.dir, shallow.dir)
	_, err = shallow.changed("main")
	require.ErrorContains(t, err, "git diff")
}

// What looks like an option is taken for a commit that isn't there.
func TestChangedFilesOfAnOption(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	in := inputs{build: plan.Build{Branch: "main", Commit: "HEAD"}, since: "--output=" + filepath.Join(c.dir, "written")}
	_, err := program{git: gitIn(c.dir)}.changedFiles(t.Context(), in)
	require.Error(t, err)
	require.NoFileExists(t, filepath.Join(c.dir, "written"))
}

func TestGitOutputIsBounded(t *testing.T) {
	t.Parallel()
	c := capped{limit: 5}
	for _, text := range []string{"abc", "def", "ghi"} {
		n, err := c.Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, 3, n)
	}
	require.Equal(t, "abcde", c.text.String())
	require.True(t, c.over)
}
