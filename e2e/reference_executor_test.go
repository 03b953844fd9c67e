//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
)

// An operator points the reference's executor at our frontend: it works, and every answer is the one it expects. The transcript is
// testdata/reference_executor.txt; UPDATE_GOLDEN=1 writes it anew.
func TestReferenceExecutorWorksThroughAJob(t *testing.T) {
	t.Parallel()
	repositories := harness.Repositories(t, "team/one")
	commit := harness.Git(t, "-C", filepath.Join(repositories, "team/one"), "rev-parse", "main")
	frontend := harness.StartFrontend(t, "FRONTEND_REPOS_DIR="+repositories)
	executor := newReferenceExecutor(t, frontend, "reference-1")

	executor.instance("GET", "/.executors/test/auth", "null")
	executor.instance("GET", "/.api/src-cli/version", "null")
	// The ping, as the reference sends it: the form for several queues with nothing in it but the name.
	executor.instance("POST", queuePath+"batches/heartbeat", `{"version":"","executorName":"reference-1","os":"","architecture":"","dockerVersion":"",`+
		`"executorVersion":"","gitVersion":"","igniteVersion":"","srcCliVersion":"","prometheusMetrics":""}`)
	executor.instance("POST", queuePath+"batches/dequeue", `{"executorName":"reference-1","version":"5.3.0"}`)

	submitted := frontend.Submit(t, `
queue: batches
repository: {name: team/one, commit: main, directory: repository, shallow: true}
files: {input.json: '{"a":1}'}
steps:
  - {key: step.0.run, image: "debian:12", dir: repository, env: {A: b}, run: [cd sub, make]}
  - {key: upload, src: [version, -client-only]}
secrets: {TOKEN: {value: s3cret-s3cret}}
`)
	executor.version = "0.0.0+dev"
	job := executor.dequeue("batches")
	require.Equal(t, "eyJhIjoxfQ==", job.Files["input.json"].Content, "version 2 has contents in base64")
	require.Equal(t, commit, harness.Git(t, "-C", executor.clone(job), "rev-parse", "HEAD"))
	executor.job(job, "HEAD", "/.executors/files/batch-changes/spec/file", "null")
	executor.job(job, "GET", "/.executors/files/batch-changes/spec/file", "null")

	const began = `"startTime":"2026-01-02T03:04:05.123456789Z"`
	executor.operation(job, "batches", "addExecutionLogEntry", `,"key":"setup.git.init","command":["git","init"],`+began)
	executor.operation(job, "batches", "addExecutionLogEntry", `,"key":"step.docker.step.0.run","command":["docker","run"],`+began)
	// Once a second the reference sends what there is so far, from the beginning.
	log := ""
	for second := range 3 {
		log += fmt.Sprintf("stdout: line %d\\n", second)
		executor.operation(job, "batches", "updateExecutionLogEntry", `,"entryId":2,"key":"step.docker.step.0.run","command":["docker","run"],`+began+`,"out":"`+log+`"`)
	}
	executor.heartbeat("batches", job.ID, 4711)
	executor.operation(job, "batches", "updateExecutionLogEntry", `,"entryId":1,"key":"setup.git.init","command":["git","init"],`+began+`,"exitCode":0,"durationMs":7`)
	executor.operation(job, "batches", "updateExecutionLogEntry", `,"entryId":2,"key":"step.docker.step.0.run","command":["docker","run"],`+began+
		`,"exitCode":0,"out":"`+log+`stderr: bye\n","durationMs":3100`)
	executor.operation(job, "batches", "addExecutionLogEntry", `,"key":"teardown.fs","command":null,`+began+`,"exitCode":0,"durationMs":1`)
	executor.operation(job, "batches", "markComplete", "")
	// Its token ended with the job; the shared token only finds that nothing is there to mark.
	executor.operation(job, "batches", "markComplete", "")
	executor.instance("POST", queuePath+"batches/markComplete", fmt.Sprintf(`{"executorName":"reference-1","jobId":%d}`, job.ID))
	executor.heartbeat("batches")
	executor.heartbeat("batches", job.ID)

	requireGolden(t, "testdata/reference_executor.txt", executor.golden(commit, "COMMIT"))
	done, text := frontend.Await(t, submitted.ID)
	require.Equal(t, jobs.Completed, done.State)
	require.Equal(t, "stdout: line 0\nstdout: line 1\nstdout: line 2\nstderr: bye\n", text)
	require.Equal(t, "reference-1", done.Executor)
	require.Len(t, done.Attempts, 1)
	require.Len(t, done.Attempts[0].Entries, 3)
}

// Several queues: ids carry the queue, and a job that its user cancels is told to stop.
func TestReferenceExecutorOfSeveralQueuesIsToldToCancel(t *testing.T) {
	t.Parallel()
	frontend := harness.StartFrontend(t)
	executor := newReferenceExecutor(t, frontend, "reference-1")
	beat := func(held string) string {
		got := executor.instance("POST", queuePath+"heartbeat", `{"version":"","executorName":"reference-1"`+held+`,"queueNames":["batches","codeintel"]}`)
		require.Equal(t, http.StatusOK, got.status, got.body)
		return got.body
	}
	require.Equal(t, `{"knownIds":[],"cancelIds":[]}`, beat(""))
	require.Equal(t, answer{http.StatusNoContent, ""}, executor.instance("POST", queuePath+"dequeue", `{"executorName":"reference-1","version":"5.3.0"}`), "no queues, no job")

	submitted := frontend.Submit(t, "{queue: codeintel, steps: [{image: a, run: b}]}")
	job := executor.dequeue("", "batches", "codeintel")
	require.Equal(t, "codeintel", job.Queue)
	held := fmt.Sprintf(`,"jobIdsByQueue":[{"queueName":"batches","jobIds":["4711"]},{"queueName":"codeintel","jobIds":["%d"]}]`, job.ID)
	known := fmt.Sprintf(`["%d-codeintel"]`, job.ID)
	require.JSONEq(t, `{"knownIds":`+known+`,"cancelIds":[]}`, beat(held))

	canceling, err := frontend.Client.Cancel(harness.Context(t), submitted.ID)
	require.NoError(t, err)
	require.True(t, canceling.Canceling)
	require.JSONEq(t, `{"knownIds":`+known+`,"cancelIds":`+known+`}`, beat(held))
	require.Equal(t, http.StatusNoContent, executor.operation(job, "codeintel", "markFailed", `,"errorMessage":"context canceled"`).status)
	done, _ := frontend.Await(t, submitted.ID)
	require.Equal(t, jobs.Canceled, done.State)
	require.JSONEq(t, `{"knownIds":[],"cancelIds":[]}`, beat(held))
}

// The reported version decides which form of a job an executor gets.
func TestReferenceExecutorGetsTheJobThatItsVersionReads(t *testing.T) {
	t.Parallel()
	frontend := harness.StartFrontend(t)
	executor := newReferenceExecutor(t, frontend, "reference-1")
	for version, form := range map[string]int{
		"": 1, "4.2.9": 1, "3.43.0": 1, "4.3.0": 2, "4.3.0-rc.1": 2, "5.2.0": 2, "v5.2.0": 2, "0.0.0+dev": 2, "dev": 2,
		"168065_2022-11-23_0123abcdef": 1, "168065_2022-11-24_0123abcdef": 2,
	} {
		submitted := frontend.Submit(t, `{files: {a: "text\n"}, steps: [{image: a, run: b}]}`)
		executor.version = version
		job := executor.dequeue("default")
		require.Equal(t, submitted.ID, int64(job.ID))
		if form == 1 {
			require.Zero(t, job.Version, version)
			require.Equal(t, "text\n", job.Files["a"].Content, version)
			require.NotContains(t, job.raw, "dockerAuthConfig", version)
		} else {
			require.Equal(t, 2, job.Version, version)
			require.Equal(t, "dGV4dAo=", job.Files["a"].Content, version)
			require.Contains(t, job.raw, `"dockerAuthConfig":{}`, version)
		}
		require.Equal(t, http.StatusNoContent, executor.operation(job, "default", "markComplete", "").status)
	}
	for _, version := range []string{"latest", "5", "1_2022-99-99_abc"} {
		got := executor.instance("POST", queuePath+"default/dequeue", fmt.Sprintf(`{"executorName":"reference-1","version":%q}`, version))
		require.Equal(t, http.StatusInternalServerError, got.status)
		require.Contains(t, got.body, `{"error":"version \"`+version)
	}
}

// Two busy queues share an executor by the reference's weights, four to one, and an empty queue doesn't hold up the other.
func TestReferenceExecutorServesQueuesByWeight(t *testing.T) {
	t.Parallel()
	frontend := harness.StartFrontend(t)
	executor := newReferenceExecutor(t, frontend, "reference-1")
	for range 10 {
		frontend.Submit(t, "{queue: batches, steps: [{image: a, run: b}]}")
		frontend.Submit(t, "{queue: codeintel, steps: [{image: a, run: b}]}")
	}
	served := make(map[string]int)
	for range 10 {
		served[executor.dequeue("", "batches", "codeintel").Queue]++
	}
	require.Equal(t, map[string]int{"batches": 8, "codeintel": 2}, served)
	for range 10 {
		served[executor.dequeue("", "batches", "codeintel").Queue]++
	}
	require.Equal(t, map[string]int{"batches": 10, "codeintel": 10}, served)
	got := executor.instance("POST", queuePath+"dequeue", `{"executorName":"reference-1","version":"5.3.0","queues":["batches","codeintel"]}`)
	require.Equal(t, answer{http.StatusNoContent, ""}, got)
}

// An executor that stops sending heartbeats loses its job. Another attempt runs it; after three such resets it has failed, and what each
// attempt logged is still there.
func TestSilentReferenceExecutorLosesItsJobAtMostFourTimes(t *testing.T) {
	t.Parallel()
	frontend := harness.StartFrontend(t, "FRONTEND_LEASE_TIMEOUT=1s")
	executor := newReferenceExecutor(t, frontend, "reference-1")
	submitted := frontend.Submit(t, "steps: [{image: a, run: b}]")
	shown := func() jobs.Job {
		job, err := frontend.Client.Job(harness.Context(t), submitted.ID)
		require.NoError(t, err)
		return job
	}
	var lost []referenceJob
	for attempt := 1; attempt <= 4; attempt++ {
		job := executor.dequeue("default")
		require.Equal(t, http.StatusOK, executor.operation(job, "default", "addExecutionLogEntry",
			fmt.Sprintf(`,"key":"k","command":null,"startTime":"2026-01-02T03:04:05Z","out":"stdout: attempt %d\n"`, attempt)).status)
		lost = append(lost, job)
		harness.Eventually(t, 20*time.Second, "the stalled job is found", func() bool { return shown().State != jobs.Processing })
	}
	for _, job := range lost {
		require.Equal(t, http.StatusUnauthorized, executor.operation(job, "default", "markComplete", "").status, "a lost attempt can't end the job")
	}
	job := shown()
	require.Equal(t, jobs.Failed, job.State)
	require.Contains(t, job.Reason, "too many times")
	require.Len(t, job.Attempts, 4)
	for i, attempt := range job.Attempts {
		require.Equal(t, i+1, attempt.Number)
		require.Equal(t, "lost", attempt.Cause)
		require.Equal(t, fmt.Sprintf("stdout: attempt %d\n", i+1), frontend.Log(t, job.ID, i+1))
	}
}

// requireGolden compares with a file that was checked by eye.
func requireGolden(t testing.TB, file, got string) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
