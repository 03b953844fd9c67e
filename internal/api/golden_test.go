package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
)

var update = flag.Bool("update", false, "rewrite the golden files from the values of this test")

var (
	start    = time.Date(2024, 5, 9, 12, 30, 15, 123456789, time.UTC)
	modified = time.Date(2023, 1, 2, 3, 4, 5, 0, time.UTC)
	nonUTF8  = []byte{0x00, 0xff, '<', '\n'}
)

func ptr[T any](value T) *T { return &value }

func fullJob(version int) api.Job {
	job := api.Job{
		Version:             version,
		ID:                  42,
		Token:               "00112233445566778899aabbccddeeff00112233",
		Queue:               "batches",
		RepositoryName:      "github.com/example/widgets",
		RepositoryDirectory: "repository",
		Commit:              "3f786850e387550fdab836ed7e6dc881de23001b",
		FetchTags:           true,
		ShallowClone:        true,
		SparseCheckout:      []string{"sub/dir/*"},
		Files: map[string]api.File{
			"empty":       {},
			"input.json":  {Content: []byte(`{"a":"<é>"}`)},
			"remote/file": {Bucket: "batch-changes", Key: "spec/file", ModifiedAt: modified},
		},
		DockerSteps: []api.DockerStep{
			{Key: "step.0.run", Image: "alpine:3", Commands: []string{"echo a && echo b"}, Dir: "repository", Env: []string{"A=1"}},
			{Image: "alpine:3"},
		},
		CliSteps:       []api.CliStep{{Key: "batch-exec", Commands: []string{"batch", "exec"}, Dir: ".", Env: []string{"B=2"}}, {}},
		RedactedValues: map[string]string{"hunter2": "SECRET_REMOVED"},
		Attempt:        3,
		Timeout:        90 * time.Second,
	}
	if version == api.JobV2 {
		job.Files["binary"] = api.File{Content: nonUTF8}
		job.DockerAuth = api.DockerAuthConfig{Auths: map[string]api.DockerAuth{"registry.example": {Auth: []byte("user:password")}}}
	}
	return job
}

func minimalJob(version int) api.Job {
	return api.Job{Version: version, ID: 1, Files: map[string]api.File{}}
}

var (
	operation = api.JobOperation{ExecutorName: "host-1", JobID: 42}
	telemetry = api.Telemetry{
		OS: "linux", Architecture: "amd64", DockerVersion: "24.0.5", ExecutorVersion: "5.2.0", GitVersion: "2.40.1",
		IgniteVersion: "v0.10.5", SrcCliVersion: "5.2.1", PrometheusMetrics: "up 1\n",
	}
	openEntry   = api.ExecutionLogEntry{Key: "setup.fs.extras", StartTime: start}
	closedEntry = api.ExecutionLogEntry{
		Key: "step.docker.0", Command: []string{"docker", "run"}, StartTime: start,
		ExitCode: ptr(0), Out: "stdout: hello\nstderr: <warning>\n", DurationMs: ptr(0),
	}
)

// golden maps file names in testdata/golden to the values that they are the exact encoding of.
var golden = map[string]any{
	"dequeue_minimal": api.DequeueRequest{ExecutorName: "host-1", Version: "0.0.0+dev"},
	"dequeue_single":  api.DequeueRequest{ExecutorName: "host-1", Version: "5.2.0", NumCPUs: 4, Memory: "12G", DiskSpace: "20G"},
	"dequeue_multi":   api.DequeueRequest{Queues: []string{"batches", "codeintel"}, ExecutorName: "host-1", Version: "5.2.0"},

	"job_v1_minimal": minimalJob(api.JobV1),
	"job_v1_full":    fullJob(api.JobV1),
	"job_v2_minimal": minimalJob(api.JobV2),
	"job_v2_full":    fullJob(api.JobV2),

	"heartbeat_single_idle": api.SingleQueueHeartbeat{Version: api.HeartbeatV2, ExecutorName: "host-1"},
	"heartbeat_single_full": api.SingleQueueHeartbeat{
		Version: api.HeartbeatV2, ExecutorName: "host-1", JobIDs: []int64{1, 42}, Telemetry: telemetry,
	},
	"heartbeat_multi_idle": api.MultiQueueHeartbeat{ExecutorName: "host-1", QueueNames: []string{"batches", "codeintel"}},
	"heartbeat_multi_full": api.MultiQueueHeartbeat{
		ExecutorName: "host-1",
		JobIDsByQueue: []api.QueueJobIDs{
			{QueueName: "batches", JobIDs: api.IDs{"1", "3"}}, {QueueName: "codeintel", JobIDs: api.IDs{"2"}},
		},
		QueueNames: []string{"batches", "codeintel"},
		Telemetry:  telemetry,
	},
	"ping_single": api.MultiQueueHeartbeat{ExecutorName: "host-1"},

	"heartbeat_response_empty": api.HeartbeatResponse{},
	"heartbeat_response_full":  api.HeartbeatResponse{KnownIDs: api.IDs{"1", "42-batches"}, CancelIDs: api.IDs{"1"}},

	"mark_complete":        api.MarkCompleteRequest{JobOperation: operation},
	"mark_errored":         api.MarkErroredRequest{JobOperation: operation, ErrorMessage: "running command \"step.docker.0\": exit 1"},
	"mark_errored_minimal": api.MarkErroredRequest{JobOperation: operation},

	"add_entry_open":      api.AddExecutionLogEntryRequest{JobOperation: operation, ExecutionLogEntry: openEntry},
	"add_entry_closed":    api.AddExecutionLogEntryRequest{JobOperation: operation, ExecutionLogEntry: closedEntry},
	"update_entry_open":   api.UpdateExecutionLogEntryRequest{JobOperation: operation, ExecutionLogEntry: openEntry},
	"update_entry_closed": api.UpdateExecutionLogEntryRequest{JobOperation: operation, EntryID: 7, ExecutionLogEntry: closedEntry},
}

func goldenPath(name string) string { return filepath.Join("testdata", "golden", name+".json") }

// indented is the wire form made readable; json.Indent keeps the members' order and every value's spelling.
func indented(t testing.TB, value any) []byte {
	t.Helper()
	compact, err := json.Marshal(value)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, json.Indent(&out, compact, "", "  "))
	out.WriteByte('\n')
	return out.Bytes()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, value := range golden {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if *update {
				require.NoError(t, os.WriteFile(goldenPath(name), indented(t, value), 0o644))
			}
			want, err := os.ReadFile(goldenPath(name))
			require.NoError(t, err)
			require.Equal(t, string(want), string(indented(t, value)))

			decoded := reflect.New(reflect.TypeOf(value))
			require.NoError(t, json.Unmarshal(want, decoded.Interface()))
			require.Equal(t, value, decoded.Elem().Interface())
		})
	}
}

func TestEveryGoldenFileIsTested(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(goldenPath("*"))
	require.NoError(t, err)
	require.Len(t, files, len(golden))
	for _, file := range files {
		require.Contains(t, golden, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
}

// TestFrontendReadsBothHeartbeats decodes what executors send with the type that frontends use.
func TestFrontendReadsBothHeartbeats(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]api.HeartbeatRequest{
		"heartbeat_single_idle": {Version: "V2", ExecutorName: "host-1"},
		"heartbeat_single_full": {Version: "V2", ExecutorName: "host-1", JobIDs: api.IDs{"1", "42"}, Telemetry: telemetry},
		"heartbeat_multi_idle":  {ExecutorName: "host-1", QueueNames: []string{"batches", "codeintel"}},
		"heartbeat_multi_full": {
			ExecutorName: "host-1",
			JobIDsByQueue: []api.QueueJobIDs{
				{QueueName: "batches", JobIDs: api.IDs{"1", "3"}}, {QueueName: "codeintel", JobIDs: api.IDs{"2"}},
			},
			QueueNames: []string{"batches", "codeintel"},
			Telemetry:  telemetry,
		},
		"ping_single": {ExecutorName: "host-1"},
	} {
		data, err := os.ReadFile(goldenPath(name))
		require.NoError(t, err)
		var got api.HeartbeatRequest
		require.NoError(t, json.Unmarshal(data, &got), name)
		require.Equal(t, want, got, name)
	}
}
