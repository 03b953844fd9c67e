package executorapi

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

const addEntryOfDefault = "/.executors/queue/default/addExecutionLogEntry"

// addition is a request for a log entry; nanoseconds tell entries of one key apart.
func addition(key string, nanos int, out string) string {
	return fmt.Sprintf(`{"executorName":"ex-1","jobId":42,"key":%q,"command":null,"startTime":"2026-11-23T10:00:00.%09dZ","out":%q}`, key, nanos, out)
}

// An executor that did not get the answer to an addition repeats it; the log has the entry once, as it was sent last.
func TestRepeatedAdditionIsRecognised(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, spec("default"))
	job := b.lease("default", "ex-1")
	as := append(bearer(job.Token, 42, "ex-1"), "Idempotency-Key: any")
	add := func(header []string, body string) string {
		got := b.do(http.MethodPost, addEntryOfDefault, body, header...)
		require.Equal(t, http.StatusOK, got.status, got.body)
		return got.body
	}
	require.Equal(t, "1", add(as, addition("step.docker.a", 123456789, "one\n")))
	require.Equal(t, "1", add(as, addition("step.docker.a", 123456789, "one\ntwo\n")), "repeated, with more output")
	require.Equal(t, "2", add(as, addition("step.docker.b", 123456789, "")), "another key")
	require.Equal(t, "3", add(as, addition("step.docker.a", 123999999, "")), "another time")
	require.Equal(t, "2", add(as, addition("step.docker.b", 123456789, "")), "not only the last one")
	entries := b.store.job(42).entries
	require.Len(t, entries, 3)
	require.Equal(t, "one\ntwo\n", entries[0].Out)

	require.Equal(t, "4", add(bearer(job.Token, 42, "ex-1"), addition("step.docker.a", 123456789, "")), "the reference's executor doesn't ask for it")
}

func TestRepeatedAdditionWithoutALease(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, spec("default"))
	b.lease("default", "ex-1")
	got := b.do(http.MethodPost, addEntryOfDefault, addition("step.docker.a", 1, ""), shared(), "Idempotency-Key: any")
	require.Equal(t, http.StatusOK, got.status, "the shared token names no attempt, but the executor is the right one")
	other := `{"executorName":"ex-2","jobId":42,"key":"step.docker.a","command":null,"startTime":"2026-11-23T10:00:00.000000001Z"}`
	got = b.do(http.MethodPost, addEntryOfDefault, other, shared(), "Idempotency-Key: any")
	require.Equal(t, http.StatusInternalServerError, got.status)
	require.Equal(t, `{"error":"unknown job"}`, got.body)
}
