package api_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
)

// stable decodes data, and when that works encodes and decodes once more: both encodings must be equal, or something of the
// value does not survive the wire.
func stable[T any](t *testing.T, data []byte) {
	t.Helper()
	var first T
	if json.Unmarshal(data, &first) != nil {
		return
	}
	once, err := json.Marshal(first)
	require.NoError(t, err, "what was decoded must be encodable")
	var second T
	require.NoError(t, json.Unmarshal(once, &second), string(once))
	twice, err := json.Marshal(second)
	require.NoError(t, err)
	require.Equal(t, string(once), string(twice))
}

// seed adds every golden file.
func seed(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob(goldenPath("*"))
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
}

func FuzzJob(f *testing.F) {
	seed(f)
	f.Add([]byte(`{"version":2,"id":1,"files":{"a":null,"b":{"content":"AA=="}},"timeoutMs":-9223372036854775808}`))
	f.Add([]byte(`{"id":1e2,"files":{"a":{"content":"\ud800","modifiedAt":"9999-12-31T23:59:59.999999999-23:59"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		stable[api.Job](t, data)
		var job api.Job
		if json.Unmarshal(data, &job) == nil {
			require.NotNil(t, job.Files)
			require.Contains(t, []int{api.JobV1, api.JobV2}, job.Version)
			require.GreaterOrEqual(t, job.Timeout, time.Duration(0))
		}
	})
}

func FuzzRequests(f *testing.F) {
	seed(f)
	f.Add([]byte(`{"jobId":1,"startTime":"2024-05-09T12:30:15+14:00","exitCode":-1,"command":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		stable[api.DequeueRequest](t, data)
		stable[api.MarkCompleteRequest](t, data)
		stable[api.MarkErroredRequest](t, data)
		stable[api.AddExecutionLogEntryRequest](t, data)
		stable[api.UpdateExecutionLogEntryRequest](t, data)
	})
}

func FuzzHeartbeats(f *testing.F) {
	seed(f)
	f.Add([]byte(`{"knownIds":[1e3,"x",2.0],"cancelIds":[1e-999999]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		stable[api.SingleQueueHeartbeat](t, data)
		stable[api.MultiQueueHeartbeat](t, data)
		stable[api.HeartbeatRequest](t, data)
		stable[api.HeartbeatResponse](t, data)
	})
}

func FuzzParseUID(f *testing.F) {
	for _, uid := range []string{"42", "42-batches", "2--bar", "-x", "", "+1-a", "007-b"} {
		f.Add(uid)
	}
	f.Fuzz(func(t *testing.T, uid string) {
		id, queue, err := api.ParseUID(uid)
		if err != nil {
			return
		}
		again, sameQueue, err := api.ParseUID(api.Job{ID: id, Queue: queue}.UID())
		require.NoError(t, err)
		require.Equal(t, id, again)
		require.Equal(t, queue, sameQueue)
	})
}
