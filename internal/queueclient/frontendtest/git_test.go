package frontendtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
)

// git runs git in dir, away from the user's configuration, and returns its output.
func git(t *testing.T, dir string, words ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", words...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example")
	output, err := command.CombinedOutput()
	require.NoError(t, err, "git %s: %s", strings.Join(words, " "), output)
	return strings.TrimSpace(string(output))
}

func repositoryWithTwoCommits(t *testing.T) (dir, first string) {
	t.Helper()
	dir = t.TempDir()
	git(t, dir, "init", "--quiet")
	for _, content := range []string{"one", "two"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte(content), 0o644))
		git(t, dir, "add", "file")
		git(t, dir, "commit", "--quiet", "--message", content)
	}
	return dir, git(t, dir, "rev-parse", "HEAD~1")
}

func TestServeGit(t *testing.T) {
	t.Parallel()
	f := New(t)
	dir, first := repositoryWithTwoCommits(t)
	f.ServeGit("github.com/example/widgets", dir)
	f.Enqueue(api.Job{ID: 1, RepositoryName: "github.com/example/widgets"})
	token := f.dequeueAs(t, "host-1").Token
	header := []string{
		"-c", "http.extraHeader=Authorization: Bearer " + token,
		"-c", "http.extraHeader=X-Sourcegraph-Job-ID: 1",
		"-c", "http.extraHeader=X-Sourcegraph-Executor-Name: host-1",
	}
	base := f.URL() + "/.executors/git/"

	// The executor's way: a shallow, filtered fetch of a commit that no branch points at.
	clone := t.TempDir()
	git(t, clone, "init", "--quiet")
	git(t, clone, append(header, "-c", "protocol.version=2", "fetch", "--quiet", "--depth=1", "--filter=blob:none", base+"github.com/example/widgets", first)...)
	require.Equal(t, first, git(t, clone, "rev-parse", "FETCH_HEAD"))

	git(t, t.TempDir(), append(header, "clone", "--quiet", base+"github.com/example/widgets", "clone")...)

	f.ServeGit("github.com/example/other", dir)
	for repository, want := range map[string]int{"github.com/example/other": 403, "github.com/example/widgets": 200} {
		status, _ := f.send(t, "GET", "/.executors/git/"+repository+"/info/refs?service=git-upload-pack", nil,
			"Authorization", "Bearer "+token, "X-Sourcegraph-Job-ID", "1", "X-Sourcegraph-Executor-Name", "host-1")
		require.Equal(t, want, status, repository)
	}
	status, _ := f.send(t, "GET", "/.executors/git/unknown/info/refs", nil, withShared...)
	require.Equal(t, 404, status)
	status, _ = f.send(t, "POST", "/.executors/git/github.com/example/widgets/git-receive-pack", nil, withShared...)
	require.Equal(t, 404, status, "fetches only")
}
