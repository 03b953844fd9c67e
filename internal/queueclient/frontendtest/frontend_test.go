package frontendtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// send makes a request with headers given as name, value pairs, and returns status and body.
func (f *Frontend) send(t *testing.T, method, path string, body any, header ...string) (int, string) {
	t.Helper()
	encoded, err := json.Marshal(body)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), method, f.URL()+path, bytes.NewReader(encoded))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := f.HTTP().Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, strings.TrimSpace(string(text))
}

const queuePath = "/.executors/queue/batches/"

var (
	withShared = []string{"Authorization", "token-executor " + Token}
	asHost1    = api.JobOperation{ExecutorName: "host-1", JobID: 1}
)

// dequeue takes a job for an executor, as one of the queue batches.
func (f *Frontend) dequeueAs(t *testing.T, executor string) api.Job {
	t.Helper()
	status, body := f.send(t, http.MethodPost, queuePath+"dequeue", api.DequeueRequest{ExecutorName: executor, Version: "dev"}, withShared...)
	require.Equal(t, http.StatusOK, status, body)
	var job api.Job
	require.NoError(t, json.Unmarshal([]byte(body), &job))
	return job
}

func TestSharedToken(t *testing.T) {
	t.Parallel()
	f := New(t)
	for authorization, want := range map[string]int{
		"token-executor " + Token:        http.StatusOK,
		"token-executor " + Token + " x": http.StatusUnauthorized,
		"token-executor wrong":           http.StatusUnauthorized,
		"token-executor ":                http.StatusUnauthorized,
		"Bearer " + Token:                http.StatusUnauthorized,
		"":                               http.StatusUnauthorized,
	} {
		status, body := f.send(t, http.MethodGet, "/.executors/test/auth", nil, "Authorization", authorization)
		require.Equal(t, want, status, authorization)
		require.Equal(t, want == http.StatusOK, body == "ok", authorization)
	}
}

func TestJobToken(t *testing.T) {
	t.Parallel()
	f := New(t)
	f.Enqueue(api.Job{ID: 1})
	f.Enqueue(api.Job{ID: 2, Queue: "codeintel"})
	token := f.dequeueAs(t, "host-1").Token
	bearer := "Bearer " + token
	for name, test := range map[string]struct {
		path   string
		header []string
		want   int
	}{
		"own":               {queuePath, []string{"Authorization", bearer, "X-Sourcegraph-Job-ID", "1", "X-Sourcegraph-Executor-Name", "host-1"}, http.StatusOK},
		"shared":            {queuePath, withShared, http.StatusOK},
		"wrong shared":      {queuePath, []string{"Authorization", "token-executor wrong"}, http.StatusForbidden},
		"none":              {queuePath, nil, http.StatusUnauthorized},
		"other scheme":      {queuePath, []string{"Authorization", "Basic abc"}, http.StatusUnauthorized},
		"no job id":         {queuePath, []string{"Authorization", bearer, "X-Sourcegraph-Executor-Name", "host-1"}, http.StatusBadRequest},
		"no executor name":  {queuePath, []string{"Authorization", bearer, "X-Sourcegraph-Job-ID", "1"}, http.StatusBadRequest},
		"unknown token":     {queuePath, []string{"Authorization", "Bearer 00", "X-Sourcegraph-Job-ID", "1", "X-Sourcegraph-Executor-Name", "host-1"}, http.StatusUnauthorized},
		"token of another":  {queuePath, []string{"Authorization", bearer, "X-Sourcegraph-Job-ID", "2", "X-Sourcegraph-Executor-Name", "host-1"}, http.StatusForbidden},
		"of another queue":  {"/.executors/queue/codeintel/", []string{"Authorization", bearer, "X-Sourcegraph-Job-ID", "1", "X-Sourcegraph-Executor-Name", "host-1"}, http.StatusForbidden},
		"unknown endpoints": {queuePath + "canceled/", withShared, http.StatusNotFound},
	} {
		status, _ := f.send(t, http.MethodPost, test.path+"addExecutionLogEntry", api.AddExecutionLogEntryRequest{JobOperation: asHost1}, test.header...)
		require.Equal(t, test.want, status, name)
	}
}

func TestRefusedOperations(t *testing.T) {
	t.Parallel()
	f := New(t)
	f.Enqueue(api.Job{ID: 1})
	f.dequeueAs(t, "host-1")
	for name, test := range map[string]struct {
		endpoint string
		body     any
		status   int
		want     string
	}{
		"malformed":         {"dequeue", "text", http.StatusBadRequest, "Failed to unmarshal payload: "},
		"nameless":          {"dequeue", api.DequeueRequest{Version: "dev"}, http.StatusInternalServerError, `{"error":"worker hostname cannot be empty"}`},
		"odd version":       {"dequeue", api.DequeueRequest{ExecutorName: "e", Version: "?"}, http.StatusInternalServerError, `{"error":"version `},
		"nothing to do":     {"dequeue", api.DequeueRequest{ExecutorName: "e"}, http.StatusNoContent, ""},
		"nameless beat":     {"heartbeat", api.HeartbeatRequest{}, http.StatusInternalServerError, `{"error":"worker hostname`},
		"stranger's log":    {"addExecutionLogEntry", api.JobOperation{ExecutorName: "host-2", JobID: 1}, http.StatusInternalServerError, `{"error":"unknown job"}`},
		"unknown job's log": {"updateExecutionLogEntry", api.JobOperation{ExecutorName: "host-1", JobID: 9}, http.StatusInternalServerError, `{"error":"unknown job"}`},
		"unknown entry":     {"updateExecutionLogEntry", asHost1, http.StatusInternalServerError, `{"error":"unknown log entry"}`},
		"stranger's end":    {"markComplete", api.JobOperation{ExecutorName: "host-2", JobID: 1}, http.StatusNotFound, "null"},
		"unknown job's end": {"markFailed", api.JobOperation{ExecutorName: "host-1", JobID: 9}, http.StatusNotFound, "null"},
	} {
		status, body := f.send(t, http.MethodPost, queuePath+test.endpoint, test.body, withShared...)
		require.Equal(t, test.status, status, name)
		require.True(t, strings.HasPrefix(body, test.want), "%s: %s", name, body)
	}
	for name, body := range map[string]api.HeartbeatRequest{
		"no queues":     {ExecutorName: "e"},
		"another queue": {ExecutorName: "e", QueueNames: []string{"a"}, JobIDsByQueue: []api.QueueJobIDs{{QueueName: "b"}}},
	} {
		status, _ := f.send(t, http.MethodPost, "/.executors/queue/heartbeat", body, withShared...)
		require.Equal(t, http.StatusInternalServerError, status, name)
	}
}

func TestJobsAreHandedOutOnceAndInOrder(t *testing.T) {
	t.Parallel()
	f := New(t)
	require.EqualValues(t, 1, f.Enqueue(api.Job{}))
	require.EqualValues(t, 9, f.Enqueue(api.Job{ID: 9, Token: "given"}))
	require.EqualValues(t, 10, f.Enqueue(api.Job{Queue: "codeintel"}))
	first, second := f.dequeueAs(t, "host-1"), f.dequeueAs(t, "host-2")
	require.EqualValues(t, 1, first.ID)
	require.NotEqual(t, first.Token, second.Token)
	require.Equal(t, "given", second.Token)
	status, _ := f.send(t, http.MethodPost, queuePath+"dequeue", api.DequeueRequest{ExecutorName: "host-1"}, withShared...)
	require.Equal(t, http.StatusNoContent, status)

	status, body := f.send(t, http.MethodPost, "/.executors/queue/dequeue",
		api.DequeueRequest{ExecutorName: "host-1", Queues: []string{"batches", "codeintel"}}, withShared...)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `{"id":10,`, "v1 for an executor without a version")
	require.Contains(t, body, `"queue":"codeintel"`)
}

func TestResultWaits(t *testing.T) {
	t.Parallel()
	f := New(t)
	f.Enqueue(api.Job{ID: 1})
	f.dequeueAs(t, "host-1")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("not yet"))
	_, err := f.Result(ctx, 1)
	require.EqualError(t, err, "not yet")

	got := make(chan api.Report, 1)
	go func() {
		report, _ := f.Result(t.Context(), 1)
		got <- report
	}()
	status, _ := f.send(t, http.MethodPost, queuePath+"markFailed", api.MarkErroredRequest{JobOperation: asHost1, ErrorMessage: "why"}, withShared...)
	require.Equal(t, http.StatusNoContent, status)
	require.Equal(t, api.Report{Result: api.Failed, Message: "why"}, <-got)
}

func TestFailures(t *testing.T) {
	t.Parallel()
	f := New(t)
	f.Enqueue(api.Job{ID: 1})
	f.dequeueAs(t, "host-1")
	f.FailNext("/markComplete", http.StatusTeapot, 2)
	for _, want := range []int{http.StatusTeapot, http.StatusTeapot} {
		status, _ := f.send(t, http.MethodPost, queuePath+"markComplete", asHost1, withShared...)
		require.Equal(t, want, status)
	}
	for _, how := range []int{Drop, DropAnswer} {
		f.FailNext("/markComplete", how, 1)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL()+queuePath+"markComplete", strings.NewReader(`{"executorName":"host-1","jobId":1}`))
		require.NoError(t, err)
		request.Header.Set("Authorization", withShared[1])
		response, err := f.HTTP().Do(request)
		if err == nil {
			response.Body.Close()
		}
		require.ErrorIs(t, err, io.EOF)
		f.mu.Lock()
		require.Equal(t, how == DropAnswer, f.jobs[0].state == ended)
		f.mu.Unlock()
	}
	require.Len(t, f.Requests(), 5)
}

func TestAwait(t *testing.T) {
	t.Parallel()
	f := New(t)
	f.send(t, http.MethodGet, "/.executors/test/auth?x=1", "body", withShared...)
	request, err := f.Await(t.Context(), func(r Request) bool { return strings.HasPrefix(r.Path, "/.executors/test/auth") })
	require.NoError(t, err)
	require.Equal(t, "/.executors/test/auth?x=1", request.Path)
	var body string
	require.NoError(t, request.Decode(&body))
	require.Equal(t, "body", body)
}

// TestClosingEndsLongPolls would hang when the frontend waited for its own requests.
func TestClosingEndsLongPolls(t *testing.T) {
	t.Parallel()
	answered := make(chan error, 1)
	t.Run("frontend", func(t *testing.T) {
		f := New(t)
		f.Advertise("attempts")
		request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, f.URL()+queuePath+"dequeue", strings.NewReader(`{"executorName":"e"}`))
		require.NoError(t, err)
		request.Header.Set("Authorization", withShared[1])
		request.Header.Set("Prefer", "wait=600")
		go func() {
			response, err := f.HTTP().Do(request)
			if err == nil {
				err = response.Body.Close()
			}
			answered <- err
		}()
		_, err = f.Await(t.Context(), func(Request) bool { return true })
		require.NoError(t, err)
	})
	require.NoError(t, <-answered)
}
