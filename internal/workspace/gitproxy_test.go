package workspace

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
)

// proxyTo starts a proxy in front of a handler that stands for the frontend.
func proxyTo(t *testing.T, handler http.HandlerFunc) *gitProxy {
	t.Helper()
	frontend := httptest.NewServer(handler)
	t.Cleanup(frontend.Close)
	address, err := url.Parse(frontend.URL)
	require.NoError(t, err)
	proxy, err := startProxy(t.Context(), api.Job{ID: 7, Token: "0123abcd", RepositoryName: "my/repo"}, Options{Frontend: address, ExecutorName: "executor-1"})
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	return proxy
}

func (p *gitProxy) request(t *testing.T, method, target string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(p.address, "/"), strings.NewReader(""))
	require.NoError(t, err)
	// As it is, without the cleaning of url.Parse.
	request.URL.Opaque = target
	request.Header.Set(secretHeader, p.secret)
	return request
}

func do(t *testing.T, request *http.Request) (int, string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

func TestProxyAnswersGit(t *testing.T) {
	t.Parallel()
	proxy := proxyTo(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Method+" "+r.RequestURI) })
	for _, test := range []struct{ method, target string }{
		{"GET", "/my/repo/info/refs?service=git-upload-pack"},
		{"POST", "/my/repo/git-upload-pack"},
	} {
		status, body := do(t, proxy.request(t, test.method, "/"+proxy.path+strings.TrimPrefix(test.target, "/")))
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, test.method+" /.executors/git"+test.target, body)
	}
}

func TestProxyRefusesStrangers(t *testing.T) {
	t.Parallel()
	proxy := proxyTo(t, func(http.ResponseWriter, *http.Request) { t.Error("the frontend was asked") })
	secret := "/" + strings.TrimSuffix(proxy.path, "/")
	require.GreaterOrEqual(t, len(secret), 26)
	refs, pack := "/my/repo/info/refs?service=git-upload-pack", "/my/repo/git-upload-pack"
	plain := func(r *http.Request) {}
	for name, test := range map[string]struct {
		method, target string
		change         func(*http.Request)
	}{
		"without header":          {"GET", secret + refs, func(r *http.Request) { r.Header.Del(secretHeader) }},
		"with an empty header":    {"GET", secret + refs, func(r *http.Request) { r.Header.Set(secretHeader, "") }},
		"with the path as header": {"GET", secret + refs, func(r *http.Request) { r.Header.Set(secretHeader, secret[1:]) }},
		"with part of the header": {"POST", secret + pack, func(r *http.Request) { r.Header.Set(secretHeader, proxy.secret[1:]) }},
		"without path":            {"GET", refs, plain},
		"with the header as path": {"GET", "/" + proxy.secret + refs, plain},
		"another repository":      {"GET", secret + "/my/other/info/refs?service=git-upload-pack", plain},
		"repository below":        {"GET", secret + "/my/repo/sub/info/refs?service=git-upload-pack", plain},
		"prefix of repository":    {"GET", secret + "/my/info/refs?service=git-upload-pack", plain},
		"push service":            {"GET", secret + "/my/repo/info/refs?service=git-receive-pack", plain},
		"push":                    {"POST", secret + "/my/repo/git-receive-pack", plain},
		"no service":              {"GET", secret + "/my/repo/info/refs", plain},
		"two services":            {"GET", secret + refs + "&service=git-receive-pack", plain},
		"query on pack":           {"POST", secret + pack + "?x", plain},
		"dumb protocol":           {"GET", secret + "/my/repo/HEAD", plain},
		"wrong method":            {"PUT", secret + pack, plain},
		"head":                    {"HEAD", secret + refs, plain},
		"parent":                  {"GET", secret + "/my/other/../repo/info/refs?service=git-upload-pack", plain},
		"parent of frontend":      {"GET", secret + "/my/repo/../../../../.api/graphql", plain},
		"escaped parent":          {"GET", secret + "/my/repo/%2e%2e/repo/info/refs?service=git-upload-pack", plain},
		"escaped slash":           {"GET", secret + "/my%2frepo/info/refs?service=git-upload-pack", plain},
		"double slash":            {"GET", secret + "//my/repo/info/refs?service=git-upload-pack", plain},
		"absolute":                {"GET", "http://frontend.example" + secret + refs, plain},
		"root":                    {"GET", "/", plain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := proxy.request(t, test.method, test.target)
			test.change(request)
			status, _ := do(t, request)
			require.Equal(t, http.StatusForbidden, status)
		})
	}
}

func TestProxyHandsOnOnlyWhatGitNeeds(t *testing.T) {
	t.Parallel()
	var got http.Header
	proxy := proxyTo(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() })
	request := proxy.request(t, "POST", "/"+proxy.path+"my/repo/git-upload-pack")
	for name, value := range map[string]string{
		"Authorization": "Basic eDp5", "X-Sourcegraph-Actor-UID": "1", "X-Sourcegraph-Job-ID": "8", "X-Other": "1", "Cookie": "a=b",
		"Connection": "Upgrade, X-Other", "Upgrade": "websocket", "X-Forwarded-For": "10.0.0.1", "Te": "trailers",
		"Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2", "User-Agent": "git/2.39.5", "Accept-Encoding": "deflate, gzip",
	} {
		request.Header.Set(name, value)
	}
	status, _ := do(t, request)
	require.Equal(t, http.StatusOK, status)
	got.Del("Content-Length")
	got.Del("Transfer-Encoding")
	require.Equal(t, http.Header{
		"Authorization":               {"Bearer 0123abcd"},
		"X-Sourcegraph-Actor-Uid":     {"internal"},
		"X-Sourcegraph-Job-Id":        {"7"},
		"X-Sourcegraph-Executor-Name": {"executor-1"},
		"Content-Type":                {"application/x-git-upload-pack-request"},
		"Git-Protocol":                {"version=2"},
		"User-Agent":                  {"git/2.39.5"},
		"Accept-Encoding":             {"deflate, gzip"},
	}, got)
}

func TestProxyStreams(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	proxy := proxyTo(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-more
		fmt.Fprintln(w, "second")
	})
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(proxy.request(t, "POST", "/"+proxy.path+"my/repo/git-upload-pack"))
	require.NoError(t, err)
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "first\n", line)
	close(more)
	line, err = lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "second\n", line)
}

func TestClosedProxyKeepsNoConnection(t *testing.T) {
	t.Parallel()
	hangs := make(chan struct{})
	proxy := proxyTo(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, r.Body)
			close(hangs)
			<-r.Context().Done()
		}
	})
	address := strings.TrimSuffix(strings.TrimPrefix(proxy.address, "http://"), "/")
	idle, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer idle.Close()
	fmt.Fprintf(idle, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
	reader := bufio.NewReader(idle)
	response, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	require.Equal(t, http.StatusForbidden, response.StatusCode)

	busy := make(chan error, 1)
	request := proxy.request(t, "POST", "/"+proxy.path+"my/repo/git-upload-pack")
	go func() {
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		busy <- err
	}()
	<-hangs
	proxy.Close()
	<-busy
	_, err = reader.ReadByte()
	require.Error(t, err)
	_, err = net.Dial("tcp", address)
	require.Error(t, err)
}

func TestFailedFetchSaysWhy(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, body, status)
		}
	}
	for name, test := range map[string]struct {
		intercept http.HandlerFunc
		reason    string
	}{
		"unauthorized": {answer(401, "invalid token"), "The frontend answered the git request with status 401 Unauthorized: invalid token."},
		"forbidden":    {answer(403, "token is of another job.\nmore"), "The frontend answered the git request with status 403 Forbidden: token is of another job."},
		"not found":    {answer(404, ""), "The frontend answered the git request with status 404 Not Found."},
		"page":         {answer(502, "<html>Bad gateway</html>"), "The frontend answered the git request with status 502 Bad Gateway."},
		"binary":       {answer(500, "\x1b[31m\xff\x00bad"), "The frontend answered the git request with status 500 Internal Server Error: [31mbad."},
		"redirect": {
			func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://other.example/", http.StatusFound)
			},
			`The frontend redirects git requests to "https://other.example/", which the executor doesn't follow: EXECUTOR_FRONTEND_URL must be`,
		},
		"cut off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "The frontend could not be reached: EOF."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.frontend.intercept = test.intercept
			_, err := Prepare(t.Context(), api.Job{ID: 1, RepositoryName: repository, Commit: "main"}, b.options)
			require.EqualError(t, err, "failed setup.git.fetch: command failed with exit code 128")
			out := b.log.Entry(t, "setup.git.fetch").Out
			require.Contains(t, out, test.reason)
			require.NotContains(t, out, "terminal prompts disabled")
			b.requireNothingLeft(t)
		})
	}
}

func TestFailedFetchSaysThatTheFrontendIsUnreachable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var err error
	b.options.Frontend, err = url.Parse("http://127.0.0.1:1")
	require.NoError(t, err)
	_, err = Prepare(t.Context(), api.Job{ID: 1, RepositoryName: repository, Commit: "main"}, b.options)
	require.Error(t, err)
	require.Contains(t, b.log.Entry(t, "setup.git.fetch").Out, "The frontend could not be reached: dial tcp 127.0.0.1:1: ")
}

// Git before 2.31 doesn't read its configuration from the environment.
func TestGitThatIsTooOldIsExplained(t *testing.T) {
	b := setup(t)
	git, err := exec.LookPath("git")
	require.NoError(t, err)
	bin := t.TempDir()
	old := "#!/bin/sh\nunset GIT_CONFIG_COUNT\nexec " + git + ` "$@"` + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "git"), []byte(old), 0o755))
	t.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	_, err = Prepare(t.Context(), api.Job{ID: 1, RepositoryName: repository, Commit: "main"}, b.options)
	require.Error(t, err)
	require.Contains(t, b.log.Entry(t, "setup.git.fetch").Out, "git 2.31 or newer")
	require.Empty(t, b.frontend.seen())
}

// hangingFetch prepares a job whose fetch hangs at the frontend.
type hangingFetch struct {
	*bundle
	result chan error
	cancel context.CancelCauseFunc
	gone   chan struct{}
}

func startHangingFetch(t *testing.T) *hangingFetch {
	t.Helper()
	h := &hangingFetch{bundle: setup(t), result: make(chan error, 1), gone: make(chan struct{})}
	hangs := make(chan struct{})
	h.frontend.intercept = func(_ http.ResponseWriter, r *http.Request) {
		close(hangs)
		<-r.Context().Done()
		close(h.gone)
	}
	var ctx context.Context
	ctx, h.cancel = context.WithCancelCause(t.Context())
	go func() {
		_, err := Prepare(ctx, api.Job{ID: 1, Token: "0123abcd", RepositoryName: repository, Commit: "main"}, h.options)
		h.result <- err
	}()
	<-hangs
	return h
}

func TestCancelEndsAHangingFetchAndLeavesNothing(t *testing.T) {
	t.Parallel()
	h := startHangingFetch(t)
	require.NotEmpty(t, processesIn(t, h.parent))
	cause := errors.New("job canceled")
	started := time.Now()
	h.cancel(cause)
	err := <-h.result
	require.ErrorIs(t, err, cause)
	require.EqualError(t, err, "failed setup.git.fetch: job canceled")
	require.Less(t, time.Since(started), 5*time.Second)
	<-h.gone
	require.Empty(t, processesIn(t, h.parent))
	require.Contains(t, h.log.Entry(t, "setup.git.fetch").Out, "The command was stopped: job canceled.\n")
	h.log.RequireClosed(t)
	h.requireNothingLeft(t)
}

func TestOtherUsersOfTheHostDoNotSeeTheSecret(t *testing.T) {
	t.Parallel()
	h := startHangingFetch(t)
	var lines []string
	var secret string
	for _, dir := range processesIn(t, h.parent) {
		lines = append(lines, readProc(t, dir, "cmdline"))
		if found := regexp.MustCompile(secretHeader + `: (\w+)`).FindStringSubmatch(readProc(t, dir, "environ")); found != nil {
			secret = found[1]
		}
	}
	require.GreaterOrEqual(t, len(secret), 26)
	all := strings.Join(lines, "\n")
	require.Contains(t, all, "127.0.0.1", "the command line of git's HTTP helper")
	require.NotContains(t, all, secret)

	// What they can see does not get them in.
	for _, address := range regexp.MustCompile(`http://127[^\s]+`).FindAllString(all, -1) {
		response, err := http.Get(strings.TrimSuffix(address, "/") + "/info/refs?service=git-upload-pack")
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, http.StatusForbidden, response.StatusCode, address)
	}
	http.DefaultClient.CloseIdleConnections()
	require.Len(t, h.frontend.seen(), 1)
	h.cancel(nil)
	require.Error(t, <-h.result)
}

// processesIn returns the /proc directories of the living processes that work below dir.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	var found []string
	for _, process := range all {
		if cwd, err := os.Readlink(process + "/cwd"); err == nil && strings.HasPrefix(cwd, dir) {
			found = append(found, process)
		}
	}
	return found
}

func readProc(t *testing.T, dir, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return strings.ReplaceAll(string(content), "\x00", " ")
}
