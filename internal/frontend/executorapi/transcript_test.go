package executorapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
)

func (b *bench) heartbeat(executor string) {
	b.t.Helper()
	got := b.do("POST", "/.executors/queue/default/heartbeat", fmt.Sprintf(`{"executorName":%q}`, executor), shared())
	require.Equal(b.t, http.StatusOK, got.status)
}

// TestTranscript plays every endpoint the way the reference's executor uses it, and compares statuses, types and bodies byte by byte with
// testdata/transcript.txt, which was checked by eye against spec frontend A2. UPDATE_GOLDEN=1 writes it anew.
func TestTranscript(t *testing.T) {
	t.Parallel()
	full := spec("batches")
	full.Files = map[string]jobs.File{"input.json": {Content: []byte("{}\n")}}
	full.Secrets = map[string]jobs.Secret{"TOKEN": {Value: "s3cret"}}
	full.Steps = append(full.Steps, jobs.Step{Key: "up", Src: []string{"version", "-client-only"}})
	full.Timeout = jobs.Duration(10 * time.Minute)
	b := setup(t, Config{}, full, full, full, spec("codeintel"))
	var script strings.Builder
	var jobToken string
	play := func(method, path, body string, header ...string) answered {
		got := b.do(method, path, body, header...)
		shown := got.body
		if _, rest, ok := strings.Cut(got.body, `"token":"`); ok {
			jobToken, _, _ = strings.Cut(rest, `"`)
			require.Regexp(t, `^[0-9a-f]{40}$`, jobToken)
			shown = strings.ReplaceAll(got.body, jobToken, "TOKEN")
		}
		fmt.Fprintf(&script, "%s %s\n", method, path)
		if body != "" {
			fmt.Fprintf(&script, "> %s\n", body)
		}
		fmt.Fprintf(&script, "< %d", got.status)
		for _, name := range []string{"Content-Type", "Location", "Preference-Applied", "Executor-Extensions", "Allow"} {
			if value := got.header.Get(name); value != "" {
				fmt.Fprintf(&script, " %s=%q", name, value)
			}
		}
		fmt.Fprintf(&script, "\n%s\n", strings.TrimSuffix("< "+shown, "\n"))
		return got
	}
	job := func(id int64) []string { return bearer(jobToken, id, "ex-1") }
	const queue = "/.executors/queue/"

	play("GET", "/.executors/test/auth", "null", shared())
	// The ping, then a v2 job on one queue.
	play("POST", queue+"batches/heartbeat", `{"version":"","executorName":"ex-1","os":""}`, shared())
	play("POST", queue+"batches/dequeue", `{"executorName":"ex-1","version":"0.0.0+dev","numCPUs":4,"memory":"12G","diskSpace":"20G"}`, shared())
	play("GET", "/.executors/git/my/repo/info/refs?service=git-upload-pack", "", job(42)...)
	play("POST", "/.executors/git/my/repo/git-upload-pack", "0000", job(42)...)
	play("GET", "/.executors/files/batch-changes/spec/file", "null", job(42)...)
	play("HEAD", "/.executors/files/batch-changes/spec/file", "", job(42)...)
	play("GET", "/.executors/files/batch-changes/spec", "null", job(42)...)
	play("POST", queue+"batches/addExecutionLogEntry",
		`{"executorName":"ex-1","jobId":42,"key":"setup.git.init","command":["git","init"],"startTime":"2026-01-02T03:04:05Z"}`, job(42)...)
	play("POST", queue+"batches/addExecutionLogEntry",
		`{"executorName":"ex-1","jobId":42,"key":"teardown.fs","command":null,"startTime":"2026-01-02T03:04:05Z","exitCode":0,"durationMs":1}`, job(42)...)
	play("POST", queue+"batches/updateExecutionLogEntry",
		`{"executorName":"ex-1","jobId":42,"entryId":1,"key":"setup.git.init","command":["git","init"],"startTime":"2026-01-02T03:04:05Z","exitCode":0,"out":"stdout: x\n","durationMs":7}`, job(42)...)
	play("POST", queue+"batches/updateExecutionLogEntry", `{"executorName":"ex-1","jobId":42,"entryId":9,"key":"k"}`, job(42)...)
	play("POST", queue+"batches/heartbeat", `{"version":"V2","executorName":"ex-1","jobIds":[42,43,"44"],"os":"linux","architecture":"amd64"}`, shared())
	b.store.change(42, func(j *held) { j.Cancel = true })
	play("POST", queue+"batches/heartbeat", `{"version":"V2","executorName":"ex-1","jobIds":[42]}`, shared())
	play("POST", queue+"batches/markFailed", `{"executorName":"ex-1","jobId":42,"errorMessage":"canceled"}`, job(42)...)
	// A v1 job.
	play("POST", queue+"batches/dequeue", `{"executorName":"ex-1","version":"4.2.0"}`, shared())
	play("POST", queue+"batches/markComplete", `{"executorName":"ex-1","jobId":43}`, job(43)...)
	play("POST", queue+"batches/markComplete", `{"executorName":"ex-1","jobId":43}`, shared())
	play("POST", queue+"batches/markErrored", `{"executorName":"ex-1","jobId":99,"errorMessage":"e"}`, shared())
	play("POST", queue+"batches/markFailed", `{"executorName":"ex-1","jobId":99,"errorMessage":"e"}`, shared())
	play("POST", queue+"batches/addExecutionLogEntry", `{"executorName":"ex-1","jobId":43,"key":"k"}`, shared())
	play("POST", queue+"batches/updateExecutionLogEntry", `{"executorName":"ex-1","jobId":43,"entryId":1,"key":"k"}`, shared())
	// Several queues, with our extensions.
	play("POST", queue+"heartbeat", `{"version":"","executorName":"ex-1","queueNames":["batches","codeintel"]}`, shared())
	play("POST", queue+"dequeue", `{"queues":["batches","codeintel"],"executorName":"ex-1","version":"5.2.0"}`, shared(), "Prefer: wait=0")
	play("POST", queue+"batches/markErrored", `{"executorName":"ex-1","jobId":44,"errorMessage":"exit code 1"}`, job(44)...)
	b.store.change(44, func(j *held) { j.State = jobs.Failed })
	play("POST", queue+"dequeue", `{"queues":["batches","codeintel"],"executorName":"ex-1","version":"5.2.0"}`, shared())
	play("POST", queue+"heartbeat",
		`{"executorName":"ex-1","jobIdsByQueue":[{"queueName":"batches","jobIds":["44"]},{"queueName":"codeintel","jobIds":["45","46"]}],"queueNames":["batches","codeintel"]}`, shared())
	play("POST", queue+"dequeue", `{"queues":["batches","codeintel"],"executorName":"ex-1","version":"5.2.0"}`, shared())
	play("POST", queue+"dequeue", `{"executorName":"ex-1","version":"5.2.0"}`, shared())
	// What is refused.
	play("POST", queue+"dequeue", `{"queues":["Batches"],"executorName":"ex-1","version":"5.2.0"}`, shared())
	play("POST", queue+"batches/dequeue", `{"executorName":"","version":"5.2.0"}`, shared())
	play("POST", queue+"batches/dequeue", `{"executorName":"ex-1","version":"latest"}`, shared())
	play("POST", queue+"batches/dequeue", `{"executorName":`, shared())
	play("POST", queue+"batches/heartbeat", `{"executorName":""}`, shared())
	play("POST", queue+"batches/heartbeat", `{"executorName":"ex-1","jobIds":[true]}`, shared())
	play("POST", queue+"heartbeat", `{"executorName":"ex-1"}`, shared())
	play("POST", queue+"heartbeat", `{"executorName":"ex-1","queueNames":["batches"],"jobIdsByQueue":[{"queueName":"codeintel","jobIds":["1"]}]}`, shared())
	play("POST", queue+"heartbeat", `{"executorName":"ex-1","queueNames":["no queue"]}`, shared())
	play("POST", "/.executors/lsif/upload", "", shared())
	play("POST", "/.executors/scip/upload", "", shared())
	play("HEAD", "/.executors/scip/upload", "", shared())
	// Paths.
	play("POST", queue+"batches/dequeue/", `{}`, shared())
	play("GET", "/.executors/test/auth/?a=b", "", shared())
	play("GET", queue+"batches/dequeue", "", shared())
	play("POST", queue+"Batches/dequeue", "{}", shared())
	play("POST", queue+"batches/canceled", "{}", shared())
	play("POST", "/.executors/git/my/repo/git-receive-pack", "", shared())
	play("GET", "/.executors/git/info/refs", "", shared())
	play("GET", "/.executors/files/other-bucket/a/b", "", shared())
	play("GET", "/.executors/", "", shared())

	const golden = "testdata/transcript.txt"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(golden, []byte(script.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), script.String())
}

func TestSrcCLIVersion(t *testing.T) {
	t.Parallel()
	recorder := httptest.NewRecorder()
	SrcCLIVersion().ServeHTTP(recorder, httptest.NewRequest("GET", "/.api/src-cli/version", strings.NewReader("null")))
	require.Equal(t, 200, recorder.Code)
	require.Equal(t, "application/json", recorder.Header().Get("Content-Type"))
	require.Equal(t, `{"version":"5.3.0"}`, recorder.Body.String())

	recorder = httptest.NewRecorder()
	SrcCLIVersion().ServeHTTP(recorder, httptest.NewRequest("POST", "/.api/src-cli/version", nil))
	require.Equal(t, 405, recorder.Code)
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	for path, limit := range map[string]int{
		"/.executors/queue/q/dequeue":      1 << 20,
		"/.executors/queue/dequeue":        1 << 20,
		"/.executors/queue/q/markFailed":   1 << 20,
		"/.executors/queue/q/heartbeat":    16 << 20,
		"/.executors/queue/heartbeat":      16 << 20,
		"/.executors/queue/q/markComplete": 1 << 20,
	} {
		body := `{"executorName":"` + strings.Repeat("x", limit) + `"}`
		got := b.do("POST", path, body, shared())
		require.Equal(t, 413, got.status, path)
		require.Contains(t, got.body, "Failed to unmarshal payload: ")
	}
}
