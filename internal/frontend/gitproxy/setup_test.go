package gitproxy

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// git runs a real git client, without the configuration of whoever runs the tests, and returns its output.
func git(t *testing.T, args ...string) string {
	t.Helper()
	out, err := tryGit(t, args...)
	require.NoError(t, err, out)
	return strings.TrimSpace(out)
}

func tryGit(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "HOME="+t.TempDir(),
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "no_proxy=*")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// newRepository makes a plain repository with three commits, a branch and two tags.
func newRepository(t *testing.T, path string) {
	t.Helper()
	git(t, "init", "--quiet", "--initial-branch=main", path)
	for i, name := range []string{"README", "docs/one", "docs/two"} {
		file := filepath.Join(path, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(strings.Repeat(name+"\n", 1000*(i+1))), 0o644))
		git(t, "-C", path, "add", "--all")
		git(t, "-C", path, "commit", "--quiet", "--message", name)
	}
	git(t, "-C", path, "branch", "feature/x", "HEAD~1")
	git(t, "-C", path, "tag", "light", "HEAD~2")
	git(t, "-C", path, "tag", "--annotate", "--message", "v1", "v1", "HEAD~1")
}

// newServer serves a git server at the URL that it returns: <url>/<repository>/info/refs and so on.
func newServer(t *testing.T, config Config) (*Server, string) {
	t.Helper()
	server, err := New(logtest.Scoped(t), config)
	require.NoError(t, err)
	front := httptest.NewServer(mount(server))
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		server.Close()
	})
	return server, front.URL
}

func mount(server *Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/")
		for _, endpoint := range []string{"info/refs", "git-upload-pack", "git-receive-pack"} {
			if repository, ok := strings.CutSuffix(path, "/"+endpoint); ok {
				server.ServeGit(w, r, repository, endpoint)
				return
			}
		}
		http.NotFound(w, r)
	})
}
