package executorapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/frontend/notify"
)

// gRoutes take the shared token only.
var gRoutes = []struct{ method, path string }{
	{"GET", "/.executors/test/auth"},
	{"POST", "/.executors/queue/dequeue"},
	{"POST", "/.executors/queue/heartbeat"},
	{"POST", "/.executors/queue/default/dequeue"},
	{"POST", "/.executors/queue/default/heartbeat"},
	{"POST", "/.executors/lsif/upload"},
	{"POST", "/.executors/scip/upload"},
	{"HEAD", "/.executors/scip/upload"},
}

func TestSharedTokenErrors(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, spec("default"))
	job := b.lease("default", "ex-1")
	const form = `the Authorization header must have the form "<scheme> <token>"`
	for name, test := range map[string]struct {
		header string
		status int
		body   string
	}{
		"no header":            {"", 401, "no token in the Authorization header\n"},
		"one part":             {"token-executor", 401, form + "\n"},
		"three parts":          {"token-executor " + token + " more", 401, form + "\n"},
		"two spaces":           {"token-executor  " + token, 401, form + "\n"},
		"other scheme":         {"token " + token, 401, "unsupported authorization scheme: this endpoint takes \"token-executor\"\n"},
		"a job token":          {"Bearer " + job.Token, 401, "unsupported authorization scheme: this endpoint takes \"token-executor\"\n"},
		"wrong token":          {"token-executor wrong", 401, ""},
		"a prefix":             {"token-executor " + token[:10], 401, ""},
		"a job token's digits": {"token-executor " + job.Token, 401, ""},
	} {
		for _, route := range gRoutes {
			t.Run(name+" "+route.method+route.path, func(t *testing.T) {
				got := b.do(route.method, route.path, "{}", "Authorization: "+test.header)
				require.Equal(t, test.status, got.status)
				if route.method != http.MethodHead {
					require.Equal(t, test.body, got.body)
				}
				require.NotEmpty(t, got.header.Get("Content-Type"))
				require.Empty(t, got.header.Get("Www-Authenticate"), "would make git ask for a password")
			})
		}
	}
	require.Equal(t, "ok", b.do("GET", "/.executors/test/auth", "null", shared()).body)
}

func TestSharedTokenNotConfigured(t *testing.T) {
	t.Parallel()
	b := &bench{t: t, store: newMemory(spec("default")), hub: &notify.Hub{}}
	b.serve(b.store, Config{})
	for _, header := range []string{"X: y", "Authorization: token-executor x"} {
		got := b.do("GET", "/.executors/test/auth", "", header)
		require.Equal(t, 500, got.status)
		require.Equal(t, "Executors are not configured on this instance\n", got.body)
	}
	got := b.do("POST", "/.executors/queue/default/markComplete", "{}", "Authorization: token-executor x")
	require.Equal(t, 403, got.status)
}

// jRoutes lists all J routes that a lease of the queue "batches" of the repository "my/repo" opens.
var jRoutes = []struct{ method, path, body string }{
	{"POST", "/.executors/queue/batches/addExecutionLogEntry", `{"jobId":%d,"executorName":"ex-1","key":"k"}`},
	{"POST", "/.executors/queue/batches/updateExecutionLogEntry", `{"jobId":%d,"executorName":"ex-1","entryId":1,"key":"k"}`},
	{"GET", "/.executors/git/my/repo/info/refs", ""},
	{"POST", "/.executors/git/my/repo/git-upload-pack", ""},
	{"GET", "/.executors/files/batch-changes/spec/file", ""},
	{"HEAD", "/.executors/files/batch-changes/spec/file", ""},
	{"POST", "/.executors/queue/batches/markErrored", `{"jobId":%d,"executorName":"ex-1"}`},
	{"POST", "/.executors/queue/batches/markFailed", `{"jobId":%d,"executorName":"ex-1"}`},
	{"POST", "/.executors/queue/batches/markComplete", `{"jobId":%d,"executorName":"ex-1"}`},
}

func fill(body string, id int64) string {
	if strings.Contains(body, "%d") {
		return fmt.Sprintf(body, id)
	}
	return body
}

func TestJobTokenErrors(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, spec("batches"), spec("batches"), spec("other"))
	b.heartbeat("ex-1")
	b.heartbeat("ex-2")
	job := b.lease("batches", "ex-1")
	rival := b.lease("batches", "ex-2")
	const schemes = `unsupported authorization scheme: this endpoint takes "Bearer" and "token-executor"`
	id, auth := fmt.Sprint(job.ID), "Bearer "+job.Token
	for name, test := range map[string]struct {
		auth, jobID, executor string
		status                int
		body                  string
	}{
		"no header":               {"", id, "ex-1", 401, "no token in the Authorization header"},
		"one part":                {job.Token, id, "ex-1", 401, "must have the form"},
		"empty token":             {"Bearer ", id, "ex-1", 401, "must have the form"},
		"other scheme":            {"Basic " + job.Token, id, "ex-1", 401, schemes},
		"wrong shared token":      {"token-executor wrong", id, "ex-1", 403, ""},
		"job token as shared":     {"token-executor " + job.Token, id, "ex-1", 403, ""},
		"shared token as job's":   {"Bearer " + token, id, "ex-1", 401, "invalid token"},
		"no job id":               {auth, "", "ex-1", 400, "X-Sourcegraph-Job-ID"},
		"job id of text":          {auth, "first", "ex-1", 400, "X-Sourcegraph-Job-ID"},
		"job id with queue":       {auth, id + "-batches", "ex-1", 400, "X-Sourcegraph-Job-ID"},
		"no executor":             {auth, id, "", 400, "X-Sourcegraph-Executor-Name"},
		"unknown token":           {"Bearer " + strings.Repeat("00", 20), id, "ex-1", 401, "invalid token"},
		"short token":             {"Bearer " + job.Token[:38], id, "ex-1", 401, "invalid token"},
		"not hexadecimal":         {"Bearer " + strings.Repeat("zz", 20), id, "ex-1", 401, "invalid token"},
		"other job in the header": {auth, fmt.Sprint(rival.ID), "ex-1", 403, "invalid token"},
		"another's token":         {"Bearer " + rival.Token, fmt.Sprint(rival.ID), "ex-1", 403, "invalid token"},
		"as another executor":     {auth, id, "ex-2", 403, "invalid token"},
		"as a stranger":           {auth, id, "ghost", 401, "unknown executor"},
	} {
		for _, route := range jRoutes {
			t.Run(name+" "+route.method+route.path, func(t *testing.T) {
				got := b.do(route.method, route.path, fill(route.body, job.ID),
					"Authorization: "+test.auth, "X-Sourcegraph-Job-ID: "+test.jobID, "X-Sourcegraph-Executor-Name: "+test.executor)
				require.Equal(t, test.status, got.status, got.body)
				if route.method != http.MethodHead {
					require.Contains(t, got.body, test.body)
					require.Equal(t, test.body == "", got.body == "")
				}
				require.NotEmpty(t, got.header.Get("Content-Type"))
			})
		}
	}
	require.Equal(t, jobs.Processing, b.store.job(job.ID).State, "nothing was done")
	require.Empty(t, b.store.job(job.ID).entries)
}

func TestJobTokenIsBound(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, spec("batches"), spec("other"))
	job := b.lease("batches", "ex-1")
	other := b.lease("other", "ex-1")
	headers := bearer(job.Token, job.ID, "ex-1")
	for name, test := range map[string]struct {
		method, path, body string
		header             []string
		status             int
	}{
		"other queue":            {"POST", "/.executors/queue/other/markComplete", fmt.Sprintf(`{"jobId":%d,"executorName":"ex-1"}`, job.ID), headers, 403},
		"unheard-of queue":       {"POST", "/.executors/queue/nothing/markComplete", fmt.Sprintf(`{"jobId":%d,"executorName":"ex-1"}`, job.ID), headers, 403},
		"other repository":       {"GET", "/.executors/git/my/other/info/refs", "", headers, 403},
		"longer repository":      {"GET", "/.executors/git/my/repo/x/info/refs", "", headers, 403},
		"repository with dots":   {"GET", "/.executors/git/my/x/../repo/info/refs", "", headers, 403},
		"files of other queues":  {"GET", "/.executors/files/batch-changes/a/b", "", bearer(other.Token, other.ID, "ex-1"), 403},
		"body of another job":    {"POST", "/.executors/queue/batches/markComplete", fmt.Sprintf(`{"jobId":%d,"executorName":"ex-1"}`, other.ID), headers, 403},
		"body of no job":         {"POST", "/.executors/queue/batches/markFailed", `{"executorName":"ex-1"}`, headers, 403},
		"body in another's name": {"POST", "/.executors/queue/batches/markErrored", fmt.Sprintf(`{"jobId":%d,"executorName":"ex-2"}`, job.ID), headers, 403},
		"log of another job":     {"POST", "/.executors/queue/batches/addExecutionLogEntry", fmt.Sprintf(`{"jobId":%d,"executorName":"ex-1"}`, other.ID), headers, 403},
		"log in another's name":  {"POST", "/.executors/queue/batches/updateExecutionLogEntry", fmt.Sprintf(`{"jobId":%d}`, job.ID), headers, 403},
	} {
		t.Run(name, func(t *testing.T) {
			got := b.do(test.method, test.path, test.body, test.header...)
			require.Equal(t, test.status, got.status, got.body)
			require.Contains(t, got.body, "invalid token")
		})
	}
	require.Equal(t, jobs.Processing, b.store.job(job.ID).State)
	require.Equal(t, jobs.Processing, b.store.job(other.ID).State)
}

func TestJobTokenEndsWithItsAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, spec("batches"))
	first := b.lease("batches", "ex-1")
	body := fmt.Sprintf(`{"jobId":%d,"executorName":"ex-1","key":"k"}`, first.ID)
	add := "/.executors/queue/batches/addExecutionLogEntry"
	require.Equal(t, 200, b.do("POST", add, body, bearer(first.Token, first.ID, "ex-1")...).status)

	// The lease is lost; the same executor gets the job again.
	b.store.change(first.ID, func(j *held) { j.State = jobs.Queued })
	require.Equal(t, 401, b.do("POST", add, body, bearer(first.Token, first.ID, "ex-1")...).status)
	second := b.lease("batches", "ex-1")
	require.Equal(t, first.ID, second.ID)
	require.NotEqual(t, first.Token, second.Token)
	require.Equal(t, 401, b.do("POST", add, body, bearer(first.Token, first.ID, "ex-1")...).status)
	require.Equal(t, 200, b.do("POST", add, body, bearer(second.Token, second.ID, "ex-1")...).status)
	require.Equal(t, 204, b.do("POST", "/.executors/queue/batches/markComplete", body, bearer(second.Token, second.ID, "ex-1")...).status)
	require.Equal(t, 401, b.do("POST", "/.executors/queue/batches/markComplete", body, bearer(second.Token, second.ID, "ex-1")...).status)
}

func TestSharedTokenOpensJobRoutes(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, spec("batches"))
	job := b.lease("batches", "ex-1")
	for _, test := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/.executors/queue/batches/addExecutionLogEntry", fmt.Sprintf(`{"jobId":%d,"executorName":"ex-1","key":"k"}`, job.ID), 200},
		{"POST", "/.executors/queue/batches/addExecutionLogEntry", fmt.Sprintf(`{"jobId":%d,"executorName":"ex-2","key":"k"}`, job.ID), 500},
		{"POST", "/.executors/queue/other/markComplete", fmt.Sprintf(`{"jobId":%d,"executorName":"ex-1"}`, job.ID), 404},
		{"POST", "/.executors/queue/batches/markComplete", fmt.Sprintf(`{"jobId":%d,"executorName":""}`, job.ID), 404},
		{"GET", "/.executors/git/any/repo/info/refs", "", 200},
		{"GET", "/.executors/files/batch-changes/a/b", "", 404},
		{"POST", "/.executors/queue/batches/markComplete", fmt.Sprintf(`{"jobId":%d,"executorName":"ex-1"}`, job.ID), 204},
	} {
		require.Equal(t, test.status, b.do(test.method, test.path, test.body, shared()).status, test.path+test.body)
	}
}

func TestTokenLookupFails(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, spec("batches"))
	job := b.lease("batches", "ex-1")
	b.store.fail(errors.New("disk I/O error"))
	got := b.do("GET", "/.executors/git/my/repo/info/refs", "", bearer(job.Token, job.ID, "ex-1")...)
	require.Equal(t, 500, got.status)
	require.NotContains(t, got.body, "disk")
}

func TestNewRefusesWhatCanNotWork(t *testing.T) {
	t.Parallel()
	_, err := New(logtest.Scoped(t), nil, &notify.Hub{}, gitEcho{}, Config{})
	require.ErrorContains(t, err, "required")
	_, err = New(logtest.Scoped(t), newMemory(), &notify.Hub{}, gitEcho{}, Config{MaxWait: -1})
	require.ErrorContains(t, err, "negative")
}
