//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
)

// endpoint is a request about a job; %d in the body is the job's id.
type endpoint struct{ method, path, body string }

// What the texts of refusals must have in them; "" stands for an empty body.
const (
	tokenForm   = `"<scheme> <token>"`
	tokenNone   = "no token"
	tokenWrong  = "invalid token"
	tokenScheme = "unsupported authorization scheme"
)

// requireRefusal checks the status, and that the body has the wanted body's text in it.
func requireRefusal(t testing.TB, want, got answer, about string, args ...any) {
	t.Helper()
	about = fmt.Sprintf(about, args...)
	require.Equal(t, want.status, got.status, "%s: %s", about, got.body)
	require.Contains(t, got.body, want.body, about)
	require.Equal(t, want.body == "", got.body == "", "%s: %s", about, got.body)
}

// Endpoints of the instance take the shared token and nothing else (spec frontend A3, first table).
func TestSharedTokenOfExecutors(t *testing.T) {
	t.Parallel()
	frontend := harness.StartFrontend(t)
	executor := newReferenceExecutor(t, frontend, "reference-1")
	frontend.Submit(t, "steps: [{image: a, run: b}]")
	job := executor.dequeue("default")
	for name, test := range map[string]struct {
		header string
		want   answer
	}{
		"none":               {"", answer{401, tokenNone}},
		"one part":           {"token-executor", answer{401, tokenForm}},
		"three parts":        {"token-executor " + harness.ExecutorToken + " more", answer{401, tokenForm}},
		"other scheme":       {"token " + harness.ExecutorToken, answer{401, tokenScheme}},
		"a job's token":      {"Bearer " + job.Token, answer{401, tokenScheme}},
		"wrong":              {"token-executor wrong", answer{401, ""}},
		"a beginning":        {"token-executor " + harness.ExecutorToken[:10], answer{401, ""}},
		"a job's as shared":  {"token-executor " + job.Token, answer{401, ""}},
		"the one of clients": {"token-executor " + frontend.Token, answer{401, ""}},
	} {
		for _, endpoint := range []endpoint{
			{"GET", "/.executors/test/auth", "null"},
			{"POST", queuePath + "dequeue", "{"},
			{"POST", queuePath + "heartbeat", "{"},
			{"POST", queuePath + "default/dequeue", "{"},
			{"POST", queuePath + "default/heartbeat", "{"},
			{"POST", "/.executors/lsif/upload", ""},
			{"POST", "/.executors/scip/upload", ""},
		} {
			got := executor.send(endpoint.method, endpoint.path, endpoint.body, http.Header{"Authorization": {test.header}})
			requireRefusal(t, test.want, got, "%s: %s", name, endpoint.path)
		}
	}
	require.Equal(t, answer{200, "ok"}, executor.instance("GET", "/.executors/test/auth", "null"))
	require.Equal(t, answer{200, ""}, executor.instance("HEAD", "/.executors/scip/upload", ""))
	// Only with a good token is the body looked at.
	require.Equal(t, answer{400, "Failed to unmarshal payload: unexpected EOF\n"}, executor.instance("POST", queuePath+"default/dequeue", "{"))
	require.Equal(t, answer{500, `{"error":"worker hostname cannot be empty"}`}, executor.instance("POST", queuePath+"default/dequeue", "{}"))
}

// Endpoints of a job take its token, in its executor's name, for itself (spec frontend A3, second table, with its weak points closed).
func TestJobTokenOfExecutors(t *testing.T) {
	t.Parallel()
	frontend := harness.StartFrontend(t, "FRONTEND_REPOS_DIR="+harness.Repositories(t, "team/one", "team/two"))
	first, second := newReferenceExecutor(t, frontend, "reference-1"), newReferenceExecutor(t, frontend, "reference-2")
	const file = "{queue: batches, repository: {name: team/one, commit: main}, steps: [{image: a, run: b}]}"
	frontend.Submit(t, file)
	frontend.Submit(t, file)
	job, others := first.dequeue("batches"), second.dequeue("batches")
	first.heartbeat("batches", job.ID)
	second.heartbeat("batches", others.ID)
	endpoints := []endpoint{
		{"POST", queuePath + "batches/addExecutionLogEntry", `{"jobId":%d,"executorName":"reference-1","key":"k"}`},
		{"POST", queuePath + "batches/updateExecutionLogEntry", `{"jobId":%d,"executorName":"reference-1","entryId":1,"key":"k"}`},
		{"POST", queuePath + "batches/markComplete", `{"jobId":%d,"executorName":"reference-1"}`},
		{"POST", queuePath + "batches/markErrored", `{"jobId":%d,"executorName":"reference-1","errorMessage":"e"}`},
		{"POST", queuePath + "batches/markFailed", `{"jobId":%d,"executorName":"reference-1","errorMessage":"e"}`},
		{"GET", "/.executors/git/team/one/info/refs?service=git-upload-pack", "null"},
		{"POST", "/.executors/git/team/one/git-upload-pack", "0000"},
		{"GET", "/.executors/files/batch-changes/spec/file", "null"},
	}
	id, auth := fmt.Sprint(job.ID), "Bearer "+job.Token
	const jobIDHeader, executorHeader = "X-Sourcegraph-Job-ID", "X-Sourcegraph-Executor-Name"
	for name, test := range map[string]struct {
		auth, jobID, executor string
		want                  answer
	}{
		"no header":               {"", id, "reference-1", answer{401, tokenNone}},
		"one part":                {job.Token, id, "reference-1", answer{401, tokenForm}},
		"other scheme":            {"Basic " + job.Token, id, "reference-1", answer{401, tokenScheme}},
		"wrong shared token":      {"token-executor wrong", id, "reference-1", answer{403, ""}},
		"job token as shared":     {"token-executor " + job.Token, id, "reference-1", answer{403, ""}},
		"no job id":               {auth, "", "reference-1", answer{400, jobIDHeader}},
		"job id of text":          {auth, "one", "reference-1", answer{400, jobIDHeader}},
		"job id with its queue":   {auth, id + "-batches", "reference-1", answer{400, jobIDHeader}},
		"no executor name":        {auth, id, "", answer{400, executorHeader}},
		"unknown token":           {"Bearer " + strings.Repeat("ab", 20), id, "reference-1", answer{401, tokenWrong}},
		"half a token":            {"Bearer " + job.Token[:20], id, "reference-1", answer{401, tokenWrong}},
		"no hexadecimal token":    {"Bearer " + strings.Repeat("xy", 20), id, "reference-1", answer{401, tokenWrong}},
		"other job":               {auth, fmt.Sprint(others.ID), "reference-1", answer{403, tokenWrong}},
		"token of another's job":  {"Bearer " + others.Token, fmt.Sprint(others.ID), "reference-1", answer{403, tokenWrong}},
		"as another executor":     {auth, id, "reference-2", answer{403, tokenWrong}},
		"as one never heard of":   {auth, id, "stranger", answer{401, "unknown executor"}},
		"shared token as a job's": {"Bearer " + harness.ExecutorToken, id, "reference-1", answer{401, tokenWrong}},
	} {
		for _, endpoint := range endpoints {
			body := strings.Replace(endpoint.body, "%d", id, 1)
			got := first.send(endpoint.method, endpoint.path, body, http.Header{
				"Authorization": {test.auth}, "X-Sourcegraph-Job-Id": {test.jobID}, "X-Sourcegraph-Executor-Name": {test.executor},
			})
			requireRefusal(t, test.want, got, "%s: %s", name, endpoint.path)
		}
	}
	for _, endpoint := range []endpoint{
		{"POST", queuePath + "codeintel/markComplete", `{"jobId":%d,"executorName":"reference-1"}`},
		{"POST", queuePath + "codeintel/addExecutionLogEntry", `{"jobId":%d,"executorName":"reference-1","key":"k"}`},
		{"GET", "/.executors/git/team/two/info/refs?service=git-upload-pack", "null"},
		{"POST", "/.executors/git/team/two/git-upload-pack", "0000"},
		{"GET", "/.executors/git/team/missing/info/refs?service=git-upload-pack", "null"},
	} {
		got := first.job(job, endpoint.method, endpoint.path, strings.Replace(endpoint.body, "%d", id, 1))
		requireRefusal(t, answer{403, tokenWrong}, got, "another queue, another repository: %s", endpoint.path)
	}
	for _, body := range []string{
		fmt.Sprintf(`{"jobId":%d,"executorName":"reference-1","key":"k"}`, others.ID),
		fmt.Sprintf(`{"jobId":%d,"executorName":"reference-2","key":"k"}`, job.ID),
		`{}`,
	} {
		for _, operation := range []string{"addExecutionLogEntry", "updateExecutionLogEntry", "markComplete", "markErrored", "markFailed"} {
			got := first.job(job, "POST", queuePath+"batches/"+operation, body)
			requireRefusal(t, answer{403, tokenWrong}, got, "%s %s", operation, body)
		}
	}
	for _, id := range []int{job.ID, others.ID} {
		shown, err := frontend.Client.Job(harness.Context(t), int64(id))
		require.NoError(t, err)
		require.Equal(t, jobs.Processing, shown.State, "nothing of all that did anything")
		require.Empty(t, shown.Attempts[0].Entries)
	}
	require.Equal(t, 204, first.operation(job, "batches", "markComplete", "").status)
	require.Equal(t, 204, second.operation(others, "batches", "markErrored", `,"errorMessage":"e"`).status)
	for _, endpoint := range endpoints {
		got := first.job(job, endpoint.method, endpoint.path, strings.Replace(endpoint.body, "%d", id, 1))
		requireRefusal(t, answer{401, tokenWrong}, got, "the token ended with its job: %s", endpoint.path)
	}
}

// The reference's executor falls back to the shared token for jobs that came without one; then only body and store count.
func TestSharedTokenOnEndpointsOfAJob(t *testing.T) {
	t.Parallel()
	frontend := harness.StartFrontend(t)
	executor := newReferenceExecutor(t, frontend, "reference-1")
	submitted := frontend.Submit(t, "steps: [{image: a, run: b}]")
	job := executor.dequeue("default")
	call := func(operation, name string) answer {
		return executor.instance("POST", queuePath+operation, fmt.Sprintf(`{"jobId":%d,"executorName":%q,"entryId":1,"key":"k"}`, job.ID, name))
	}
	unknown, lost := answer{500, `{"error":"unknown job"}`}, answer{404, "null"}
	for _, test := range []struct {
		operation, name string
		want            answer
	}{
		{"default/addExecutionLogEntry", "reference-2", unknown},
		{"other/addExecutionLogEntry", "reference-1", unknown},
		{"default/updateExecutionLogEntry", "reference-2", unknown},
		{"default/markComplete", "reference-2", lost},
		{"default/markErrored", "reference-2", lost},
		{"default/markFailed", "reference-2", lost},
		{"other/markComplete", "reference-1", lost},
		{"default/addExecutionLogEntry", "reference-1", answer{200, "1"}},
		{"default/updateExecutionLogEntry", "reference-1", answer{204, ""}},
		{"default/markFailed", "reference-1", answer{204, ""}},
		{"default/markFailed", "reference-1", lost},
		{"default/addExecutionLogEntry", "reference-1", unknown},
	} {
		require.Equal(t, test.want, call(test.operation, test.name), test.operation)
	}
	done, _ := frontend.Await(t, submitted.ID)
	require.Equal(t, jobs.Failed, done.State)
}

// A token is worth nothing as soon as the lease has run out, before anybody takes the job away.
func TestJobTokenEndsWithTheLease(t *testing.T) {
	t.Parallel()
	frontend := harness.StartFrontend(t, "FRONTEND_LEASE_TIMEOUT=500ms")
	executor := newReferenceExecutor(t, frontend, "reference-1")
	frontend.Submit(t, "steps: [{image: a, run: b}]")
	job := executor.dequeue("default")
	harness.Eventually(t, 10*time.Second, "the token is refused", func() bool {
		return executor.operation(job, "default", "addExecutionLogEntry", `,"key":"k"`).status == http.StatusUnauthorized
	})
	require.Equal(t, answer{404, "null"},
		executor.instance("POST", queuePath+"default/markComplete", fmt.Sprintf(`{"executorName":"reference-1","jobId":%d}`, job.ID)))
}
