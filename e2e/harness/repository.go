package harness

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Git runs a git command that sees nobody's configuration, and returns what it printed.
func Git(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(Context(t), "git", args...)
	cmd.Env = append(cmd.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "GIT_LFS_SKIP_SMUDGE=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "no_proxy=*")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "git %q: %s", args, out)
	return strings.TrimSpace(string(out))
}

// Repositories makes a directory of repositories for FRONTEND_REPOS_DIR, each with one commit of an empty tree on main whose message is
// the repository's name.
func Repositories(t testing.TB, names ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		Git(t, "init", "--quiet", "--initial-branch=main", path)
		Git(t, "-C", path, "commit", "--quiet", "--allow-empty", "--message", name)
	}
	return dir
}
