package workspace

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	basePath   = "/sub/path"
	repository = "host.example/my/repo"
)

// fakeFrontend serves a directory of repositories below basePath, as the git endpoint of a frontend does.
type fakeFrontend struct {
	root string
	url  *url.URL

	mu       sync.Mutex
	requests []*http.Request
	// intercept, when set, answers in place of git. It is set before the first request.
	intercept http.HandlerFunc
}

func newFakeFrontend(t *testing.T) *fakeFrontend {
	t.Helper()
	git, err := exec.LookPath("git")
	require.NoError(t, err)
	f := &fakeFrontend{root: t.TempDir()}
	backend := &cgi.Handler{
		Path:   git,
		Args:   []string{"http-backend"},
		Root:   basePath + "/.executors/git",
		Env:    append(hermeticGit(f.root), "GIT_PROJECT_ROOT="+f.root, "GIT_HTTP_EXPORT_ALL=1"),
		Stderr: os.Stderr,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests = append(f.requests, r.Clone(t.Context()))
		f.mu.Unlock()
		if f.intercept != nil {
			f.intercept(w, r)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	f.url, err = url.Parse(server.URL + basePath)
	require.NoError(t, err)
	return f
}

func (f *fakeFrontend) seen() []*http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*http.Request(nil), f.requests...)
}

func hermeticGit(home string) []string {
	return []string{
		"HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TEMPLATE_DIR=",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
	}
}

// repo is a repository that the fake frontend serves.
type repo struct {
	t   *testing.T
	dir string
}

func (f *fakeFrontend) newRepo(t *testing.T, name string) repo {
	t.Helper()
	r := repo{t, filepath.Join(f.root, name)}
	require.NoError(t, os.MkdirAll(r.dir, 0o755))
	r.git("init", "--initial-branch=main")
	r.git("config", "uploadpack.allowFilter", "true")
	r.git("config", "uploadpack.allowAnySHA1InWant", "true")
	return r
}

func (r repo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", r.dir}, args...)...)
	cmd.Env = append(hermeticGit(r.dir), "PATH="+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	require.NoError(r.t, err, "git %v: %s", args, out)
	return strings.TrimSpace(string(out))
}

func (r repo) write(path, content string) {
	r.t.Helper()
	path = filepath.Join(r.dir, path)
	require.NoError(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(r.t, os.WriteFile(path, []byte(content), 0o644))
}

func (r repo) symlink(path, target string) {
	r.t.Helper()
	path = filepath.Join(r.dir, path)
	require.NoError(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(r.t, os.Symlink(target, path))
}

// commit commits everything and returns the commit's id.
func (r repo) commit(message string) string {
	r.t.Helper()
	r.git("add", "--all")
	r.git("commit", "--message", message)
	return r.git("rev-parse", "HEAD")
}
