package gitproxy

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
)

func packed(t *testing.T, plain []byte) string {
	t.Helper()
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	_, err := writer.Write(plain)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	return out.String()
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	server, err := New(logtest.Scoped(t), Config{Dir: dir, MaxRequest: 1 << 10})
	require.NoError(t, err)
	defer server.Close()
	const upload, refs = "/plain/git-upload-pack", "/plain/info/refs?service=git-upload-pack"
	call := []string{"Content-Type: application/x-git-upload-pack-request"}
	with := func(lines ...string) []string { return append(lines, call...) }
	// A packet that asks for the reference list in protocol version 2, and as much of it as git would read.
	pkt := func(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }
	listing := pkt("command=ls-refs\n") + "0001" + strings.Repeat(pkt("ref-prefix "+strings.Repeat("x", 200)), 100) + "0000"
	for name, test := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		text               string
	}{
		"unknown repository":     {"GET", "/nothing/info/refs?service=git-upload-pack", "", nil, 404, `repository "nothing" is not known here`},
		"push":                   {"GET", "/plain/info/refs?service=git-receive-pack", "", nil, 403, "only fetching"},
		"receiving a push":       {"POST", "/plain/git-receive-pack", "", nil, 404, "no such git endpoint"},
		"dumb protocol":          {"GET", "/plain/info/refs", "", nil, 403, "smart HTTP"},
		"posting to info/refs":   {"POST", refs, "", nil, 405, "not allowed"},
		"getting upload-pack":    {"GET", upload, "", nil, 405, "not allowed"},
		"other content type":     {"POST", upload, "0000", nil, 415, "application/x-git-upload-pack-request"},
		"other encoding":         {"POST", upload, "0000", with("Content-Encoding: br"), 415, "gzip"},
		"broken gzip":            {"POST", upload, "0000", with("Content-Encoding: gzip"), 400, "can't be read"},
		"cut gzip":               {"POST", upload, packed(t, []byte(listing))[:20], with("Content-Encoding: gzip", "Git-Protocol: version=2"), 400, "can't be read"},
		"hostile protocol":       {"GET", refs, "", []string{"Git-Protocol: version=2;rm -rf"}, 400, "malformed"},
		"endless protocol":       {"GET", refs, "", []string{"Git-Protocol: " + strings.Repeat("a", 200)}, 400, "malformed"},
		"huge request":           {"POST", upload, listing, with("Git-Protocol: version=2"), 413, "larger than 1024 bytes"},
		"huge when unpacked":     {"POST", upload, packed(t, []byte(listing)), with("Git-Protocol: version=2", "Content-Encoding: gzip"), 413, "larger than 1024 bytes"},
		"packed request is fine": {"POST", upload, packed(t, []byte(pkt("command=ls-refs\n")+"00010000")), with("Git-Protocol: version=2", "Content-Encoding: x-gzip"), 200, "refs/heads/main"},
		"unknown command":        {"POST", upload, pkt("command=dance\n") + "0000", with("Git-Protocol: version=2"), 500, "git failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
			for _, line := range test.header {
				name, value, _ := strings.Cut(line, ": ")
				request.Header.Set(name, value)
			}
			recorder := httptest.NewRecorder()
			mount(server).ServeHTTP(recorder, request)
			require.Equal(t, test.status, recorder.Code, recorder.Body)
			require.Contains(t, recorder.Body.String(), test.text)
			require.NotEmpty(t, recorder.Header().Get("Content-Type"))
		})
	}
}

func TestAdvertisement(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	server, err := New(logtest.Scoped(t), Config{Dir: dir})
	require.NoError(t, err)
	defer server.Close()
	for protocol, begin := range map[string]string{
		"":                    "001e# service=git-upload-pack\n0000",
		"version=1":           "001e# service=git-upload-pack\n0000000eversion 1\n",
		"version=2":           "000eversion 2\n",
		"version=1:version=2": "000eversion 2\n",
		"version=3":           "001e# service=git-upload-pack\n0000",
	} {
		request := httptest.NewRequest("GET", "/plain/info/refs?service=git-upload-pack", nil)
		request.Header.Set("Git-Protocol", protocol)
		recorder := httptest.NewRecorder()
		mount(server).ServeHTTP(recorder, request)
		require.Equal(t, 200, recorder.Code)
		require.True(t, strings.HasPrefix(recorder.Body.String(), begin), "%q: %.80q", protocol, recorder.Body)
		require.True(t, strings.HasSuffix(recorder.Body.String(), "0000"))
		require.Equal(t, "application/x-git-upload-pack-advertisement", recorder.Header().Get("Content-Type"))
		require.Equal(t, "no-cache, max-age=0, must-revalidate", recorder.Header().Get("Cache-Control"))
		require.Equal(t, "Fri, 01 Jan 1980 00:00:00 GMT", recorder.Header().Get("Expires"))
		require.Equal(t, "no-cache", recorder.Header().Get("Pragma"))
	}
}

// stall begins a call of upload-pack and never ends its body. It returns once the server has begun to read it.
func stall(t *testing.T, ctx context.Context, url string) (answered <-chan *http.Response, body *io.PipeWriter) {
	t.Helper()
	reader, writer := io.Pipe()
	request, err := http.NewRequestWithContext(ctx, "POST", url+"/plain/git-upload-pack", reader)
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/x-git-upload-pack-request")
	done := make(chan *http.Response, 1)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	go func() {
		response, err := transport.RoundTrip(request)
		if err == nil {
			response.Body.Close()
		}
		done <- response
	}()
	_, err = writer.Write([]byte("00"))
	require.NoError(t, err)
	return done, writer
}

// ended is a handler that tells when each request is over.
func ended(handler http.Handler) (http.Handler, <-chan struct{}) {
	over := make(chan struct{}, 8)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { over <- struct{}{} }()
		handler.ServeHTTP(w, r)
	}), over
}

func TestDanglingClients(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	for name, test := range map[string]struct {
		config Config
		status int
	}{
		"stalls":         {Config{MaxIdle: 200 * time.Millisecond}, http.StatusRequestTimeout},
		"takes too long": {Config{MaxDuration: 200 * time.Millisecond}, http.StatusGatewayTimeout},
		"goes away":      {Config{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.config.Dir = dir
			server, err := New(logtest.Scoped(t), test.config)
			require.NoError(t, err)
			handler, over := ended(mount(server))
			front := httptest.NewServer(handler)
			defer front.Close()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			answered, body := stall(t, ctx, front.URL)
			defer body.Close()
			if test.status == 0 {
				leave()
			}
			<-over // git is dead, and its slot free
			require.Empty(t, server.slots)
			body.Close()
			response := <-answered
			require.Equal(t, test.status == 0, response == nil)
			if response != nil {
				require.Equal(t, test.status, response.StatusCode)
			}
		})
	}
}

func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	_, url := newServer(t, Config{Dir: dir, MaxConcurrent: 1, MaxQueueing: 50 * time.Millisecond})
	ctx, leave := context.WithCancel(t.Context())
	answered, body := stall(t, ctx, url)
	require.Eventually(t, func() bool {
		response, err := http.Get(url + "/plain/info/refs?service=git-upload-pack")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == "10"
	}, 10*time.Second, 10*time.Millisecond)
	leave()
	body.Close()
	<-answered
	http.DefaultClient.CloseIdleConnections()
}

// A git that breaks down before it says anything is a status; the reason stays in the log.
func TestBrokenRepository(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plain", ".git", "config"), []byte("[broken"), 0o644))
	logger, logs := logtest.Captured(t)
	server, err := New(logger, Config{Dir: dir})
	require.NoError(t, err)
	recorder := httptest.NewRecorder()
	mount(server).ServeHTTP(recorder, httptest.NewRequest("GET", "/plain/info/refs?service=git-upload-pack", nil))
	require.Equal(t, 500, recorder.Code)
	require.Equal(t, "git failed\n", recorder.Body.String())
	require.Contains(t, logs().Messages(), "git request failed")
}
