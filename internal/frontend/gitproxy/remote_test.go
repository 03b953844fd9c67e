package gitproxy

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
)

// upstream is a git host that wants credentials and would like to leave traces. It refuses headers that are none of its business.
func upstream(t *testing.T, dir string) string {
	t.Helper()
	server, err := New(logtest.Scoped(t), Config{Dir: dir})
	require.NoError(t, err)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "session=secret")
		w.Header().Set("WWW-Authenticate", `Basic realm="upstream"`)
		user, password, _ := r.BasicAuth()
		if user != "bot" || password != "p:ss" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		for _, name := range []string{"Cookie", "X-Sourcegraph-Job-Id", "X-Sourcegraph-Executor-Name", "X-Forwarded-For", "Forwarded"} {
			if r.Header.Get(name) != "" {
				http.Error(w, "leaked "+name, http.StatusTeapot)
				return
			}
		}
		mount(server).ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
		server.Close()
	})
	return front.URL
}

func TestCloneOfRemoteRepository(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	_, url := newServer(t, Config{Repositories: map[string]Repository{
		"github.com/a/b": {URL: upstream(t, dir) + "/team/bare.git/", Username: "bot", Password: "p:ss"},
	}})
	commit := git(t, "-C", filepath.Join(dir, "plain"), "rev-parse", "main~1")
	for _, version := range []string{"0", "2"} {
		clone := filepath.Join(t.TempDir(), "clone")
		git(t, "init", "--quiet", clone)
		git(t, "-C", clone, "remote", "add", "origin", url+"/github.com/a/b")
		header := []string{
			"-c", "http.extraHeader=Authorization: Bearer of-the-executor", "-c", "http.extraHeader=X-Sourcegraph-Job-ID: 42",
			"-c", "http.extraHeader=Cookie: a=b", "-c", "protocol.version=" + version, "-C", clone,
		}
		git(t, append(header, "fetch", "--quiet", "--no-tags", "--depth=1", "--filter=blob:none", "origin", commit)...)
		git(t, append(header, "checkout", "--quiet", commit)...)
		require.FileExists(t, filepath.Join(clone, "docs", "one"))
	}
	response, err := http.Get(url + "/github.com/a/b/info/refs?service=git-upload-pack")
	require.NoError(t, err)
	defer http.DefaultClient.CloseIdleConnections()
	defer response.Body.Close()
	require.Equal(t, 200, response.StatusCode)
	require.Empty(t, response.Header.Get("Set-Cookie"))
	require.Empty(t, response.Header.Get("Www-Authenticate"))
	require.Equal(t, "application/x-git-upload-pack-advertisement", response.Header.Get("Content-Type"))
}

func TestRemoteThatDoesNotServe(t *testing.T) {
	t.Parallel()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", "Basic")
		switch kind, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); kind {
		case "moved":
			http.Redirect(w, r, "http://elsewhere.invalid/?token=secret", http.StatusMovedPermanently)
		case "login":
			w.WriteHeader(http.StatusUnauthorized)
		case "forbidden":
			w.WriteHeader(http.StatusForbidden)
		case "page":
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>")
		case "broken":
			http.Error(w, "internal details", http.StatusServiceUnavailable)
		case "gone":
			http.NotFound(w, r)
		}
	}))
	defer front.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	repositories := map[string]Repository{"unreachable": {URL: gone.URL + "/x"}}
	want := map[string]struct {
		status int
		text   string
	}{
		"moved":       {502, "moved"},
		"login":       {502, "refuses the frontend's credentials"},
		"forbidden":   {502, "refuses the frontend's credentials"},
		"page":        {502, "not git's"},
		"broken":      {502, "status 503"},
		"gone":        {404, "does not know the repository"},
		"unreachable": {502, "can't be reached"},
	}
	for name := range want {
		if name != "unreachable" {
			repositories[name] = Repository{URL: front.URL + "/" + name}
		}
	}
	server, err := New(logtest.Scoped(t), Config{Repositories: repositories})
	require.NoError(t, err)
	defer server.Close()
	for name, want := range want {
		recorder := httptest.NewRecorder()
		mount(server).ServeHTTP(recorder, httptest.NewRequest("GET", "/"+name+"/info/refs?service=git-upload-pack", nil))
		require.Equal(t, want.status, recorder.Code, name)
		require.Contains(t, recorder.Body.String(), want.text, name)
		require.Empty(t, recorder.Header().Get("Location"), name)
		require.Empty(t, recorder.Header().Get("Www-Authenticate"), name)
		require.NotContains(t, recorder.Body.String(), "details", name)
	}
}

func TestHugeRequestToARemote(t *testing.T) {
	t.Parallel()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer front.Close()
	_, url := newServer(t, Config{MaxRequest: 1 << 10, Repositories: map[string]Repository{"r": {URL: front.URL}}})
	response, err := http.Post(url+"/r/git-upload-pack", "application/x-git-upload-pack-request", strings.NewReader(strings.Repeat("x", 1<<20)))
	require.NoError(t, err)
	defer http.DefaultClient.CloseIdleConnections()
	defer response.Body.Close()
	require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
}

// A remote that breaks off must not look like one that finished, and a client that leaves ends the request to the remote.
func TestRemoteThatBreaksOff(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = io.WriteString(w, "001e# service")
		_ = http.NewResponseController(w).Flush()
		if strings.HasPrefix(r.URL.Path, "/hangs") {
			<-r.Context().Done()
			close(left)
			return
		}
		panic(http.ErrAbortHandler)
	}))
	defer front.Close()
	_, url := newServer(t, Config{Repositories: map[string]Repository{"breaks": {URL: front.URL + "/breaks"}, "hangs": {URL: front.URL + "/hangs"}}})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()

	request, err := http.NewRequestWithContext(t.Context(), "GET", url+"/breaks/info/refs?service=git-upload-pack", nil)
	require.NoError(t, err)
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	_, err = io.ReadAll(response.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	response.Body.Close()

	ctx, leave := context.WithTimeout(t.Context(), time.Minute)
	defer leave()
	request, err = http.NewRequestWithContext(ctx, "GET", url+"/hangs/info/refs?service=git-upload-pack", nil)
	require.NoError(t, err)
	response, err = transport.RoundTrip(request)
	require.NoError(t, err)
	leave()
	response.Body.Close()
	<-left
}
