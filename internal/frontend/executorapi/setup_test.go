package executorapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// token is the shared token of tests.
const token = "a-shared-token-of-forty-characters-0123"

// bench is a handler on a server with an in-memory store.
type bench struct {
	t       *testing.T
	store   *memory
	hub     *notify.Hub
	handler *Handler
	server  *httptest.Server
}

// answered is what a request came back with.
type answered struct {
	status int
	header http.Header
	body   string
}

func setup(t *testing.T, config Config, specs ...jobs.Spec) *bench {
	t.Helper()
	b := &bench{t: t, store: newMemory(specs...), hub: &notify.Hub{}}
	config.Token = token
	b.serve(b.store, config)
	return b
}

func (b *bench) serve(queue Store, config Config) {
	b.t.Helper()
	handler, err := New(logtest.Scoped(b.t), queue, b.hub, gitEcho{}, config)
	require.NoError(b.t, err)
	b.handler = handler
	b.server = httptest.NewServer(handler)
	b.t.Cleanup(func() {
		handler.Stop()
		b.server.CloseClientConnections()
		b.server.Close()
	})
}

// gitEcho stands for the git endpoint.
type gitEcho struct{}

func (gitEcho) ServeGit(w http.ResponseWriter, r *http.Request, repository, endpoint string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "%s %s of %s?%s", r.Method, endpoint, repository, r.URL.RawQuery)
}

// do sends a request and reads the answer. Redirects are not followed. Header holds "Name: value" lines.
func (b *bench) do(method, path, body string, header ...string) answered {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, strings.NewReader(body))
	require.NoError(b.t, err)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	client := b.server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(request)
	require.NoError(b.t, err)
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	return answered{response.StatusCode, response.Header, string(raw)}
}

// shared is the header of the shared token.
func shared() string { return "Authorization: token-executor " + token }

// bearer are the headers of a job token.
func bearer(token string, jobID int64, executor string) []string {
	return []string{
		"Authorization: Bearer " + token,
		fmt.Sprintf("X-Sourcegraph-Job-ID: %d", jobID),
		"X-Sourcegraph-Executor-Name: " + executor,
	}
}

// lease dequeues a job of one queue for an executor.
func (b *bench) lease(queue, executor string) api.Job {
	b.t.Helper()
	got := b.do("POST", "/.executors/queue/"+queue+"/dequeue", fmt.Sprintf(`{"executorName":%q,"version":"0.0.0+dev"}`, executor), shared())
	require.Equal(b.t, http.StatusOK, got.status, got.body)
	var job api.Job
	require.NoError(b.t, json.Unmarshal([]byte(got.body), &job))
	return job
}

// spec is a small job of a queue with a repository.
func spec(queue string) jobs.Spec {
	return jobs.Spec{
		Queue:      queue,
		Repository: &jobs.Repository{Name: "my/repo", Commit: strings.Repeat("ab", 20)},
		Steps:      []jobs.Step{{Key: "build", Image: "debian:12", Run: []string{"make"}}},
	}
}

var _ Store = store.Store(nil)
