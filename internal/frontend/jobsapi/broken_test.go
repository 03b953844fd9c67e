package jobsapi_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/frontend/jobsapi"
	"github.com/open-executor/executor/internal/frontend/jobsapi/jobsapitest"
	"github.com/open-executor/executor/internal/store"
)

const goodJob = `{"steps": [{"image": "a:1", "run": "x"}]}`

// broken is a call that must fail, and how.
type broken struct {
	name    string
	method  string
	path    string
	body    string
	header  string
	status  int
	code    string
	field   string
	message string
}

func post(name, body string, status int, code, field, message string) broken {
	return broken{name, "POST", "/api/v1/jobs", body, "Content-Type: application/json", status, code, field, message}
}

func postAs(name, header, body string, status int, code, field, message string) broken {
	return broken{name, "POST", "/api/v1/jobs", body, header, status, code, field, message}
}

func fetch(name, path string, status int, code, field, message string) broken {
	return broken{name, "GET", "/api/v1" + path, "", "", status, code, field, message}
}

// brokenCalls meet a store with three jobs: 1 is completed, 2 is being processed, 3 is queued.
var brokenCalls = []broken{
	// Who calls.
	{"no token", "GET", "/api/v1/jobs", "", "Authorization:", 401, "unauthorized", "", "no token"},
	{"wrong token", "GET", "/api/v1/jobs", "", "Authorization: Bearer wrong", 401, "unauthorized", "", "is not that of this frontend"},
	{"token's beginning", "GET", "/api/v1/jobs", "", "Authorization: Bearer token-of-the", 401, "unauthorized", "", "is not that of this frontend"},
	{"other scheme", "GET", "/api/v1/jobs", "", "Authorization: Basic " + jobsapitest.Token, 401, "unauthorized", "", "Bearer <token"},
	{"bare token", "GET", "/api/v1/jobs", "", "Authorization: " + jobsapitest.Token, 401, "unauthorized", "", "Bearer <token"},
	{"empty token", "GET", "/api/v1/jobs", "", "Authorization: Bearer ", 401, "unauthorized", "", "Bearer <token"},
	{"submission without token", "POST", "/api/v1/jobs", goodJob, "Authorization:", 401, "unauthorized", "", "no token"},
	{"cancel without token", "POST", "/api/v1/jobs/3/cancel", "", "Authorization:", 401, "unauthorized", "", "no token"},
	{"unknown path without token", "GET", "/api/v1/secrets", "", "Authorization:", 401, "unauthorized", "", "no token"},
	{"wrong method without token", "DELETE", "/api/v1/jobs", "", "Authorization:", 401, "unauthorized", "", "no token"},

	// What is called.
	fetch("unknown path", "/nothing", 404, "not_found", "", "/api/v1/openapi.yaml lists"),
	fetch("root", "", 404, "not_found", "", "nothing at"),
	{"outside of the API", "GET", "/other", "", "", 404, "not_found", "", `nothing at "/other"`},
	fetch("trailing slash", "/jobs/", 404, "not_found", "", "nothing at"),
	fetch("double slash", "//jobs", 404, "not_found", "", "nothing at"),
	fetch("dots", "/jobs/../jobs", 404, "not_found", "", "nothing at"),
	fetch("below a job", "/jobs/1/steps", 404, "not_found", "", "nothing at"),
	fetch("long path", "/"+strings.Repeat("x", 5000), 404, "not_found", "", "…"),
	{"delete the list", "DELETE", "/api/v1/jobs", "", "", 405, "method_not_allowed", "", "only GET, HEAD, POST"},
	{"put a job", "PUT", "/api/v1/jobs/1", goodJob, "", 405, "method_not_allowed", "", "only GET, HEAD"},
	{"get a cancel", "GET", "/api/v1/jobs/3/cancel", "", "", 405, "method_not_allowed", "", "only POST"},
	{"get a retry", "GET", "/api/v1/jobs/1/retry", "", "", 405, "method_not_allowed", "", "only POST"},
	{"post executors", "POST", "/api/v1/executors", "{}", "", 405, "method_not_allowed", "", "only GET, HEAD"},
	{"made-up method", "BREW", "/api/v1/queues", "", "", 405, "method_not_allowed", "", "BREW is not possible"},
	{"wants HTML", "GET", "/api/v1/jobs", "", "Accept: text/html", 406, "not_acceptable", "", "application/json"},
	{"refuses JSON", "GET", "/api/v1/jobs", "", "Accept: application/json;q=0", 406, "not_acceptable", "", "application/json"},
	{"wants a log as JSON", "GET", "/api/v1/jobs/1/logs", "", "Accept: application/json", 406, "not_acceptable", "", "text/plain or text/event-stream"},

	// Parameters.
	fetch("unknown parameter", "/jobs?stat=queued", 400, "invalid_argument", "stat", "known here: queue, state, limit, cursor"),
	fetch("parameter of a job", "/jobs/1?verbose=1", 400, "invalid_argument", "verbose", "known here: none"),
	fetch("malformed query", "/jobs?queue=%zz", 400, "invalid_argument", "", "malformed"),
	fetch("unknown state", "/jobs?state=running", 400, "invalid_argument", "state", "queued, processing, errored, completed, failed, canceled"),
	fetch("one unknown state", "/jobs?state=queued,done", 400, "invalid_argument", "state", `"done"`),
	fetch("empty state", "/jobs?state=", 400, "invalid_argument", "state", "wants some of"),
	fetch("queue with capitals", "/jobs?queue=Default", 400, "invalid_argument", "queue", "one queue's name"),
	fetch("two queues", "/jobs?queue=a&queue=b", 400, "invalid_argument", "queue", "one queue's name"),
	fetch("limit of zero", "/jobs?limit=0", 400, "invalid_argument", "limit", "from 1 to 500"),
	fetch("limit too high", "/jobs?limit=501", 400, "invalid_argument", "limit", "from 1 to 500"),
	fetch("limit in words", "/jobs?limit=ten", 400, "invalid_argument", "limit", `"ten"`),
	fetch("limit with a sign", "/jobs?limit=%2B5", 400, "invalid_argument", "limit", "from 1 to 500"),
	fetch("two limits", "/jobs?limit=1&limit=2", 400, "invalid_argument", "limit", "one whole number"),
	fetch("made-up cursor", "/jobs?cursor=abc", 400, "invalid_argument", "cursor", "member next"),
	fetch("negative cursor", "/jobs?cursor=-1", 400, "invalid_argument", "cursor", "member next"),
	fetch("job in words", "/jobs/last", 400, "invalid_argument", "id", `"last" is no job id`),
	fetch("job zero", "/jobs/0", 400, "invalid_argument", "id", "positive"),
	fetch("negative job", "/jobs/-1", 400, "invalid_argument", "id", "positive"),
	fetch("huge job", "/jobs/99999999999999999999", 400, "invalid_argument", "id", "no job id"),
	fetch("slash as a job", "/jobs/%2F", 404, "not_found", "", "nothing at"),

	// Jobs that are not there, or in no state for it.
	fetch("missing job", "/jobs/4", 404, "not_found", "id", "there is no job 4"),
	fetch("log of a missing job", "/jobs/4/logs", 404, "not_found", "id", "there is no job 4"),
	{"stream of a missing job", "GET", "/api/v1/jobs/4/logs", "", "Accept: text/event-stream", 404, "not_found", "id", "there is no job 4"},
	{"cancel a missing job", "POST", "/api/v1/jobs/4/cancel", "", "", 404, "not_found", "id", "there is no job 4"},
	{"retry a missing job", "POST", "/api/v1/jobs/4/retry", "", "", 404, "not_found", "id", "there is no job 4"},
	{"cancel a finished job", "POST", "/api/v1/jobs/1/cancel", "", "", 409, "already_over", "id", "job 1 is already over"},
	{"retry a running job", "POST", "/api/v1/jobs/2/retry", "", "", 409, "not_over", "id", "job 2 is not over yet"},
	{"retry a queued job", "POST", "/api/v1/jobs/3/retry", "", "", 409, "not_over", "id", "job 3 is not over yet"},
	{"cancel with a parameter", "POST", "/api/v1/jobs/3/cancel?force=1", "", "", 400, "invalid_argument", "force", "unknown parameter"},

	// Logs.
	fetch("negative offset", "/jobs/1/logs?offset=-1", 400, "invalid_argument", "offset", "whole number"),
	fetch("offset in words", "/jobs/1/logs?offset=end", 400, "invalid_argument", "offset", `"end"`),
	fetch("attempt zero", "/jobs/1/logs?attempt=0", 400, "invalid_argument", "attempt", "from 1"),
	fetch("missing attempt", "/jobs/1/logs?attempt=2", 404, "not_found", "attempt", "job 1 has no attempt 2, only 1"),
	fetch("entry zero", "/jobs/1/logs?entry=0", 400, "invalid_argument", "entry", "from 1"),
	{"stream of an entry", "GET", "/api/v1/jobs/1/logs?entry=1", "", "Accept: text/event-stream", 400, "invalid_argument", "entry", "a stream has all entries"},
	{"made-up event id", "GET", "/api/v1/jobs/1/logs", "", "Accept: text/event-stream\nLast-Event-ID: abc", 400, "invalid_argument", "Last-Event-ID", "<attempt>:<offset>"},
	{"half an event id", "GET", "/api/v1/jobs/1/logs", "", "Accept: text/event-stream\nLast-Event-ID: 1:", 400, "invalid_argument", "Last-Event-ID", "<attempt>:<offset>"},
	{"event id of a missing attempt", "GET", "/api/v1/jobs/1/logs", "", "Accept: text/event-stream\nLast-Event-ID: 7:0", 404, "not_found", "attempt", "no attempt 7"},

	// Submissions: how they are sent.
	postAs("no type", "Content-Type:", goodJob, 415, "unsupported_media_type", "", "no Content-Type"),
	postAs("form", "Content-Type: application/x-www-form-urlencoded", goodJob, 415, "unsupported_media_type", "", "send application/json or application/yaml"),
	postAs("text", "Content-Type: text/plain", goodJob, 415, "unsupported_media_type", "", "text/plain"),
	postAs("malformed type", "Content-Type: ;;", goodJob, 415, "unsupported_media_type", "", "is no job file's"),
	postAs("other charset", "Content-Type: application/yaml; charset=latin1", goodJob, 415, "unsupported_media_type", "", "send UTF-8"),
	postAs("compressed", "Content-Type: application/json\nContent-Encoding: gzip", goodJob, 415, "unsupported_media_type", "", `"gzip"`),
	post("too large", `{"files": {"a": "`+strings.Repeat("x", 2000)+`"}}`, 413, "too_large", "", "more than 1000 bytes"),
	post("empty body", "", 400, "malformed", "", "1:1: the job file is empty"),
	post("cut JSON", `{"steps": [`, 400, "malformed", "", "1:12: not valid JSON"),
	post("two jobs", goodJob+goodJob, 400, "malformed", "", "1:42: something follows"),
	post("YAML sent as JSON", "steps: []", 400, "malformed", "", "1:1: not valid JSON"),
	post("not UTF-8", "{\"queue\": \"\xff\"}", 400, "malformed", "", "1:12: byte 0xff is not UTF-8"),
	postAs("malformed YAML", "Content-Type: application/yaml", "queue: a: b", 400, "malformed", "", "1:9: not valid YAML"),
	postAs("tab in YAML", "Content-Type: text/yaml", "steps:\n\t- x", 400, "malformed", "", "2:1: not valid YAML: a tab"),
	postAs("two documents", "Content-Type: application/x-yaml", "steps: []\n---\nsteps: []", 400, "malformed", "", "2:1: a second document"),
	postAs("alias without end", "Content-Type: text/x-yaml", "steps: &s [*s]", 400, "malformed", "", "1:12: alias *s"),

	// Submissions: what they say. testdata of package jobfile has all the ways to get a job file wrong.
	post("a list", "[]", 422, "invalid_job", "", "1:1: wants a mapping"),
	post("null", "null", 422, "invalid_job", "", "got nothing"),
	post("no steps", "{}", 422, "invalid_job", "", "has no steps"),
	post("empty steps", `{"steps": []}`, 422, "invalid_job", "steps", "at least one step"),
	post("unknown member", `{"priority": 1, "steps": [{"image": "a:1", "run": "x"}]}`, 422, "invalid_job", "priority", "unknown member"),
	post("step without image", `{"steps": [{"run": "x"}]}`, 422, "invalid_job", "steps[0]", "neither image nor src"),
	post("bad queue", `{"queue": "My Queue", "steps": [{"image": "a:1", "run": "x"}]}`, 422, "invalid_job", "queue", "is no queue name"),
	post("escaping file", `{"files": {"../x": ""}, "steps": [{"image": "a:1", "run": "x"}]}`, 422, "invalid_job", `files["../x"]`, "inside the workspace"),
	post("secret from the environment", `{"secrets": {"A": {"env": "PATH"}}, "steps": [{"image": "a:1", "run": "x"}]}`, 422, "invalid_job", "secrets.A.env", "doesn't have your environment"),
	post("secret as the API shows it", `{"secrets": {"A": {}}, "steps": [{"image": "a:1", "run": "x"}]}`, 422, "invalid_job", "secrets.A", "answers of the API leave values out"),
	post("two problems", `{"queue": 1, "retries": 99, "steps": [{"image": "a:1", "run": "x"}]}`, 422, "invalid_job", "queue", "retries: 99 is out of range"),
	post("unknown repository", `{"repository": {"name": "x", "commit": "main"}, "steps": [{"image": "a:1", "run": "x"}]}`, 422, "unresolved", "repository", `no repository "x"`),
	post("unknown branch", `{"repository": {"name": "my/repo", "commit": "dev"}, "steps": [{"image": "a:1", "run": "x"}]}`, 422, "unresolved", "repository", `"dev"`),
	post("repository that is down", `{"repository": {"name": "down/repo", "commit": "main"}, "steps": [{"image": "a:1", "run": "x"}]}`, 502, "repository_unavailable", "repository", "try again later"),
}

// withJobs starts a frontend with the jobs that brokenCalls expect.
func withJobs(t *testing.T) *jobsapitest.Frontend {
	t.Helper()
	f := jobsapitest.Start(t, jobsapitest.Options{Config: jobsapi.Config{MaxBodyBytes: 1000}})
	for range 3 {
		f.Submit(jobsapitest.Spec("default"))
	}
	first := f.Lease("default")
	first.Step("step.docker.build", "ok\n", 0)
	first.Finish(store.Complete, "")
	f.Lease("default")
	return f
}

// everything is all that the store holds.
func everything(t *testing.T, f *jobsapitest.Frontend) []store.Job {
	t.Helper()
	list, err := f.Store.List(context.Background(), store.Filter{Limit: 1000})
	require.NoError(t, err)
	for i := range list {
		list[i], err = f.Store.Job(context.Background(), list[i].ID)
		require.NoError(t, err)
	}
	return list
}

func TestBrokenCalls(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(brokenCalls), 60)
	f := withJobs(t)
	before := everything(t, f)
	for _, c := range brokenCalls {
		t.Run(c.name, func(t *testing.T) {
			header := http.Header{}
			for line := range strings.Lines(c.header) {
				name, value, _ := strings.Cut(line, ":")
				header.Set(name, strings.TrimSpace(value))
			}
			got := call(t, f, request{c.method, c.path, c.body, header})
			require.Equal(t, c.status, got.status, string(got.body))
			require.Equal(t, "application/json", got.header.Get("Content-Type"))
			problem := got.problem(t)
			require.Equal(t, c.code, problem.Code)
			require.Equal(t, c.field, problem.Field)
			require.Contains(t, problem.Message, c.message)
			require.Less(t, len(problem.Message), 1000)
			require.NotContains(t, problem.Message, "10.0.0.1", "the inside of an error of ours")
			require.Equal(t, before, everything(t, f), "the store has changed")
			switch c.status {
			case http.StatusUnauthorized:
				require.Contains(t, got.header.Get("WWW-Authenticate"), "Bearer ")
			case http.StatusMethodNotAllowed:
				require.Regexp(t, "only "+got.header.Get("Allow")+"$", problem.Message)
				require.NotEmpty(t, got.header.Get("Allow"))
			case http.StatusUnsupportedMediaType:
				require.NotEmpty(t, got.header.Get("Accept-Post"))
			}
		})
	}
}

// brokenStore fails, or panics.
type brokenStore struct {
	jobsapi.Store
	fail func() error
}

func (s brokenStore) Submit(context.Context, store.NewJob) (store.Job, error) {
	return store.Job{}, s.fail()
}
func (s brokenStore) Job(context.Context, int64) (store.Job, error)           { return store.Job{}, s.fail() }
func (s brokenStore) List(context.Context, store.Filter) ([]store.Job, error) { return nil, s.fail() }
func (s brokenStore) Cancel(context.Context, int64) (store.Job, error)        { return store.Job{}, s.fail() }
func (s brokenStore) Retry(context.Context, int64) (store.Job, error)         { return store.Job{}, s.fail() }
func (s brokenStore) Executors(context.Context) ([]store.Executor, error)     { return nil, s.fail() }
func (s brokenStore) Queues(context.Context) ([]store.QueueCount, error)      { return nil, s.fail() }

// TestOurFaults: when the store fails or panics, clients get the one shape of errors and nothing of the inside.
func TestOurFaults(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("disk I/O error at /secret/place") },
		"panic": func() error { panic("index out of range at /secret/place") },
	} {
		f := jobsapitest.Start(t, jobsapitest.Options{Store: func(s jobsapi.Store) jobsapi.Store { return brokenStore{s, fail} }})
		for _, req := range []request{
			{"POST", "/api/v1/jobs", goodJob, http.Header{"Content-Type": {"application/json"}}},
			{method: "GET", path: "/api/v1/jobs"},
			{method: "GET", path: "/api/v1/jobs/1"},
			{method: "GET", path: "/api/v1/jobs/1/logs"},
			{method: "GET", path: "/api/v1/jobs/1/logs", header: http.Header{"Accept": {"text/event-stream"}}},
			{method: "POST", path: "/api/v1/jobs/1/cancel"},
			{method: "POST", path: "/api/v1/jobs/1/retry"},
			{method: "GET", path: "/api/v1/executors"},
			{method: "GET", path: "/api/v1/queues"},
		} {
			t.Run(name+" "+req.method+" "+req.path, func(t *testing.T) {
				got := call(t, f, req)
				require.Equal(t, http.StatusInternalServerError, got.status)
				require.Equal(t, "internal", got.problem(t).Code)
				require.NotContains(t, string(got.body), "secret")
			})
		}
	}
}

func TestNewRefusesAnEmptyToken(t *testing.T) {
	t.Parallel()
	_, err := jobsapi.New(nil, nil, nil, nil, "", jobsapi.Config{})
	require.ErrorContains(t, err, "FRONTEND_API_TOKEN")
	_, err = jobsapi.New(nil, nil, nil, nil, "token", jobsapi.Config{KeepAlive: -1})
	require.Error(t, err)
}
