package queueclient

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
)

func TestLogEntries(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){"single": nil, "several": several} {
		frontend, client := frontendClient(t, change)
		frontend.Enqueue(api.Job{ID: 42})
		job := client.ForJob(take(t, client))
		open := api.ExecutionLogEntry{Key: "step.docker.0", Command: []string{"docker", "run"}, StartTime: time.Unix(1000, 0).UTC()}
		id, err := job.AddEntry(t.Context(), open)
		require.NoError(t, err, name)
		require.Equal(t, 1, id)
		id, err = job.AddEntry(t.Context(), api.ExecutionLogEntry{Key: "teardown.fs"})
		require.NoError(t, err)
		require.Equal(t, 2, id)

		code, took := 0, 5
		closed := open
		closed.ExitCode, closed.DurationMs, closed.Out = &code, &took, "stdout: hi\n"
		require.NoError(t, job.UpdateEntry(t.Context(), 1, closed))
		require.Equal(t, []api.ExecutionLogEntry{closed, {Key: "teardown.fs"}}, frontend.Entries(42), name)
		request := frontend.Requests()[3]
		require.Equal(t, "/.executors/queue/batches/updateExecutionLogEntry", request.Path)
		require.Equal(t,
			`{"executorName":"host-1","jobId":42,"entryId":1,"key":"step.docker.0","command":["docker","run"],"startTime":"1970-01-01T00:16:40Z","exitCode":0,"out":"stdout: hi\n","durationMs":5}`,
			string(request.Body))
	}
}

func TestLogOfALostLease(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(*api.Job){
		"token ended": func(*api.Job) {},
		"no token":    func(job *api.Job) { job.Token = "" },
	} {
		frontend, client, _, job := leasedJob(t)
		frontend.Forget(42)
		forget(&job)
		_, err := client.ForJob(job).AddEntry(t.Context(), api.ExecutionLogEntry{Key: "k"})
		require.ErrorIs(t, err, ErrLeaseLost, name)
		require.NotEqual(t, fault.Infrastructure, fault.ClassOf(err), name)
		err = client.ForJob(job).UpdateEntry(t.Context(), 1, api.ExecutionLogEntry{Key: "k"})
		require.ErrorIs(t, err, ErrLeaseLost, name)
	}
}

func TestFailingLogCalls(t *testing.T) {
	t.Parallel()
	frontend, client, clock, leased := leasedJob(t)
	job := client.ForJob(leased)
	frontend.FailNext("/addExecutionLogEntry", http.StatusInternalServerError, 1)
	_, err := job.AddEntry(t.Context(), api.ExecutionLogEntry{Key: "k"})
	require.ErrorContains(t, err, "addExecutionLogEntry: unexpected status code 500: a failure that the test wants")
	require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
	require.NotErrorIs(t, err, ErrLeaseLost)

	err = job.UpdateEntry(t.Context(), 9, api.ExecutionLogEntry{Key: "k"})
	require.ErrorContains(t, err, `updateExecutionLogEntry: unexpected status code 500: {"error":"unknown log entry"}`)
	require.Empty(t, clock.sleeps, "log calls are repeated by their caller only")
}

func TestMalformedEntryIDs(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `null`, `"1"`, `{}`, `1.5`, `1 2`, `<html>`} {
		_, err := answering(t, answer200(body)).ForJob(api.Job{ID: 1}).AddEntry(t.Context(), api.ExecutionLogEntry{})
		require.ErrorContains(t, err, "want the id of the entry as answer, got status code 200", body)
	}
	noContent := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	_, err := answering(t, noContent).ForJob(api.Job{ID: 1}).AddEntry(t.Context(), api.ExecutionLogEntry{})
	require.ErrorContains(t, err, "got status code 204")

	id, err := answering(t, answer200(" 0\n")).ForJob(api.Job{ID: 1}).AddEntry(t.Context(), api.ExecutionLogEntry{})
	require.NoError(t, err)
	require.Zero(t, id, "an id may be 0")
}
