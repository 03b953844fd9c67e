package server

import (
	"context"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/frontendconfig"
	"github.com/open-executor/executor/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testConfig(t *testing.T) frontendconfig.Config {
	t.Helper()
	dir := t.TempDir()
	return frontendconfig.Config{
		DataDir:       dir,
		DatabasePath:  filepath.Join(dir, "frontend.db"),
		LeaseTimeout:  time.Minute,
		MaxJobLog:     1 << 20,
		ExecutorToken: config.NewSecret("shared-executor-token"),
	}
}

func start(t *testing.T, settings frontendconfig.Config) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server, err := Start(t.Context(), logtest.Scoped(t), settings, listener)
	require.NoError(t, err)
	return server
}

// ask makes a request and returns status, content type and body.
func ask(t *testing.T, server *Server, method, path string, header http.Header) (int, string, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+server.Address().String()+path, nil)
	require.NoError(t, err)
	if header != nil {
		request.Header = header
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, response.Header.Get("Content-Type"), string(body)
}

func TestRoomsAnswer(t *testing.T) {
	t.Parallel()
	server := start(t, testConfig(t))
	defer func() { require.NoError(t, server.Stop()) }()
	shared := http.Header{"Authorization": {"token-executor shared-executor-token"}}
	client := http.Header{"Authorization": {"Bearer " + server.APIToken()}}
	for path, test := range map[string]struct {
		header http.Header
		status int
		body   string
	}{
		"/healthz":              {nil, 200, "ok"},
		"/readyz":               {nil, 200, "ok"},
		"/metrics":              {nil, 200, "go_goroutines"},
		"/.executors/test/auth": {shared, 200, "ok"},
		"/.api/src-cli/version": {nil, 200, `"version"`},
		"/api/v1/jobs":          {client, 200, `"jobs":[]`},
		"/api/v1/queues":        {nil, 401, `"error"`},
		"/api/v1":               {client, 404, `"error"`},
		"/elsewhere":            {nil, 404, "404"},
	} {
		status, contentType, body := ask(t, server, http.MethodGet, path, test.header)
		require.Equal(t, test.status, status, "%s: %s", path, body)
		require.Contains(t, body, test.body, path)
		require.NotEmpty(t, contentType, path)
	}
}

func TestReadyTellsWhenTheStoreIsGone(t *testing.T) {
	t.Parallel()
	server := start(t, testConfig(t))
	require.NoError(t, server.store.Close())
	status, _, _ := ask(t, server, http.MethodGet, "/readyz", nil)
	require.Equal(t, http.StatusServiceUnavailable, status)
	status, _, _ = ask(t, server, http.MethodGet, "/healthz", nil)
	require.Equal(t, http.StatusOK, status)
	_ = server.Stop()
}

func TestStopEndsALongPoll(t *testing.T) {
	t.Parallel()
	server := start(t, testConfig(t))
	began := time.Now()
	polled := make(chan int)
	go func() {
		request, _ := http.NewRequestWithContext(context.Background(), http.MethodPost,
			"http://"+server.Address().String()+"/.executors/queue/default/dequeue",
			strings.NewReader(`{"executorName":"one","version":"0.0.0+dev"}`))
		request.Header = http.Header{"Authorization": {"token-executor shared-executor-token"}, "Prefer": {"wait=60"}}
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err != nil {
			polled <- 0
			return
		}
		response.Body.Close()
		polled <- response.StatusCode
	}()
	require.NoError(t, server.Stop())
	// The request either ended without a job or came too late to be accepted.
	require.Contains(t, []int{http.StatusNoContent, 0}, <-polled)
	require.Less(t, time.Since(began), 30*time.Second)
}

func TestFailedStartClosesTheListener(t *testing.T) {
	t.Parallel()
	settings := testConfig(t)
	settings.DatabasePath = filepath.Join(settings.DataDir, "missing", "\x00", "frontend.db")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, err = Start(t.Context(), logtest.Scoped(t), settings, listener)
	require.Error(t, err)
	_, err = listener.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestAPIToken(t *testing.T) {
	t.Parallel()
	settings := testConfig(t)
	made, err := apiToken(settings)
	require.NoError(t, err)
	require.Len(t, made, 2*apiTokenBytes)
	info, err := os.Stat(filepath.Join(settings.DataDir, TokenFile))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())

	kept, err := apiToken(settings)
	require.NoError(t, err)
	require.Equal(t, made, kept)

	settings.APIToken = config.NewSecret("given")
	given, err := apiToken(settings)
	require.NoError(t, err)
	require.Equal(t, "given", given)
}

func TestManyStartsAgreeOnOneToken(t *testing.T) {
	t.Parallel()
	settings := testConfig(t)
	var starting sync.WaitGroup
	tokens := make([]string, 20)
	for i := range tokens {
		starting.Go(func() { tokens[i], _ = apiToken(settings) })
	}
	starting.Wait()
	require.NotEmpty(t, tokens[0])
	for _, token := range tokens {
		require.Equal(t, tokens[0], token)
	}
	files, err := filepath.Glob(filepath.Join(settings.DataDir, TokenFile+"*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
}

func TestBadTokenFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		make func(path string) error
		want string
	}{
		"readable by others": {func(path string) error { return os.WriteFile(path, []byte("token"), 0o644) }, "chmod 600"},
		"empty":              {func(path string) error { return os.WriteFile(path, []byte("\n"), 0o600) }, "is empty"},
		"symlink":            {func(path string) error { return os.Symlink("/etc/hostname", path) }, "regular file"},
		"directory":          {func(path string) error { return os.Mkdir(path, 0o700) }, "regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := testConfig(t)
			require.NoError(t, test.make(filepath.Join(settings.DataDir, TokenFile)))
			_, err := apiToken(settings)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, TokenFile)
			require.Equal(t, fault.Operator, fault.ClassOf(err))
		})
	}
}
