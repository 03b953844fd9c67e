package jobsapi_test

import (
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/frontend/jobsapi/jobsapitest"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/jobfile"
	"github.com/open-executor/executor/internal/store"
)

func readFile(name string) ([]byte, error) { return os.ReadFile(name) }

const yamlJob = `
queue: builds
repository: {name: my/repo, commit: main}
files: {a.txt: hello}
steps: [{image: "debian:12", run: make}]
secrets: {TOKEN: {value: s3cret-value}}
timeout: 10m
`

func submit(t testing.TB, f *jobsapitest.Frontend, mediaType, body string) response {
	t.Helper()
	return call(t, f, request{"POST", "/api/v1/jobs", body, http.Header{"Content-Type": {mediaType}}})
}

func TestSubmit(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	queue := f.Hub.Wait(notify.Queue("builds"))
	got := submit(t, f, "application/yaml; charset=utf-8", yamlJob)
	require.Equal(t, http.StatusCreated, got.status, string(got.body))
	<-queue // an executor that waits for the queue is woken
	require.Equal(t, "/api/v1/jobs/1", got.header.Get("Location"))
	require.NotContains(t, string(got.body), "s3cret")
	var job jobs.Job
	got.decode(t, &job)
	require.Equal(t, jobs.Queued, job.State)
	require.Equal(t, jobsapitest.Commit, job.Spec.Repository.Commit, "resolved at submission")
	require.Equal(t, map[string]jobs.Secret{"TOKEN": {}}, job.Spec.Secrets)
	require.Equal(t, f.Now(), job.QueuedAt)

	lease := f.Lease("builds")
	require.Equal(t, job.ID, lease.ID)
	var again jobs.Job
	get(t, f, "/api/v1/jobs/1").decode(t, &again)
	require.Equal(t, job.Spec, again.Spec)

	// What the API shows is a job file again.
	spec := *again.Spec
	spec.Secrets = nil
	body, err := jobfile.Marshal(spec)
	require.NoError(t, err)
	got = submit(t, f, "application/json", string(body))
	require.Equal(t, http.StatusCreated, got.status, string(got.body))
	require.Equal(t, "/api/v1/jobs/2", got.header.Get("Location"))
}

func TestListPagesAndFilters(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	var list jobs.JobList
	get(t, f, "/api/v1/jobs").decode(t, &list)
	require.Empty(t, list.Jobs)
	require.NotNil(t, list.Jobs, "an empty list, not null")
	for i := range 7 {
		f.Submit(jobsapitest.Spec([]string{"a", "b"}[i%2]))
	}
	f.Lease("a").Finish(store.Complete, "")
	f.Lease("b")
	seen := func(query string) (ids []int64) {
		cursor := ""
		for {
			var page jobs.JobList
			get(t, f, "/api/v1/jobs?limit=2"+query+cursor).decode(t, &page)
			require.LessOrEqual(t, len(page.Jobs), 2)
			for _, job := range page.Jobs {
				require.Nil(t, job.Spec)
				ids = append(ids, job.ID)
			}
			if page.Next == "" {
				return ids
			}
			cursor = "&cursor=" + page.Next
		}
	}
	require.Equal(t, []int64{7, 6, 5, 4, 3, 2, 1}, seen(""))
	require.Equal(t, []int64{6, 4, 2}, seen("&queue=b"))
	require.Equal(t, []int64{1}, seen("&state=completed"))
	require.Equal(t, []int64{2, 1}, seen("&state=completed,processing"))
	require.Equal(t, []int64{2, 1}, seen("&state=completed&state=processing"))
	require.Equal(t, []int64{7, 5, 3}, seen("&queue=a&state=queued"))
	require.Empty(t, seen("&queue=c"))
}

func TestJobWithAttempts(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	spec := jobsapitest.Spec("default")
	spec.Retries = 1
	id := f.Submit(spec)
	first := f.Lease("default")
	first.Step("step.docker.build", "no\n", 1)
	first.Finish(store.Errored, "step build failed")
	var job jobs.Job
	get(t, f, "/api/v1/jobs/1").decode(t, &job)
	require.Equal(t, jobs.Errored, job.State)
	f.Advance(time.Hour)
	second := f.Lease("default")
	second.Open("step.docker.build", "docker")
	get(t, f, "/api/v1/jobs/1").decode(t, &job)
	require.Equal(t, id, job.ID)
	require.Equal(t, jobs.Processing, job.State)
	require.Equal(t, jobsapitest.Executor, job.Executor)
	require.Len(t, job.Attempts, 2)
	require.Equal(t, "errored", job.Attempts[0].Cause)
	require.Equal(t, "step build failed", job.Attempts[0].Message)
	require.Len(t, job.Attempts[0].Entries, 1)
	require.Equal(t, 1, *job.Attempts[0].Entries[0].ExitCode)
	require.Len(t, job.Attempts[1].Entries, 1)
	require.Nil(t, job.Attempts[1].Entries[0].ExitCode)
}

func TestCancelAndRetry(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	f.Submit(jobsapitest.Spec("default"))
	run := f.Lease("default")
	changed := f.Hub.Wait(notify.Job(1))
	var job jobs.Job
	got := call(t, f, request{method: "POST", path: "/api/v1/jobs/1/cancel"})
	require.Equal(t, http.StatusOK, got.status)
	got.decode(t, &job)
	<-changed
	require.Equal(t, jobs.Processing, job.State)
	require.True(t, job.Canceling)
	require.Equal(t, http.StatusOK, call(t, f, request{method: "POST", path: "/api/v1/jobs/1/cancel"}).status, "idempotent")
	require.Equal(t, http.StatusConflict, call(t, f, request{method: "POST", path: "/api/v1/jobs/1/retry"}).status)
	run.Finish(store.Fail, "canceled")
	var over jobs.Job
	get(t, f, "/api/v1/jobs/1").decode(t, &over)
	require.Equal(t, jobs.Canceled, over.State)
	require.False(t, over.Canceling)

	queue := f.Hub.Wait(notify.Queue("default"))
	got = call(t, f, request{method: "POST", path: "/api/v1/jobs/1/retry"})
	require.Equal(t, http.StatusCreated, got.status)
	require.Equal(t, "/api/v1/jobs/2", got.header.Get("Location"))
	<-queue
	var repeated jobs.Job
	got.decode(t, &repeated)
	require.Equal(t, int64(1), repeated.RetryOf)
	got = call(t, f, request{method: "POST", path: "/api/v1/jobs/2/cancel"})
	var canceled jobs.Job
	got.decode(t, &canceled)
	require.Equal(t, jobs.Canceled, canceled.State, "a waiting job is canceled at once")
}

func TestExecutorsAndQueues(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	for i, v := range []string{"3.43.2", "3.41.0", "3.45.0", "no version"} {
		f.Advance(time.Second)
		executor := store.Executor{Name: fmt.Sprintf("executor-%d", i+1), Queues: []string{"builds", "idle"},
			Telemetry: api.Telemetry{OS: "linux", Architecture: "amd64", ExecutorVersion: v, GitVersion: "2.39.5", DockerVersion: "20.10.24"}}
		require.NoError(t, f.Store.Seen(t.Context(), executor))
	}
	f.Submit(jobsapitest.Spec("builds"))
	f.Submit(jobsapitest.Spec("other"))
	f.Lease("builds")
	var executors []jobs.Executor
	get(t, f, "/api/v1/executors").decode(t, &executors)
	require.Len(t, executors, 4)
	compatibility := make(map[string]string)
	for _, e := range executors {
		require.True(t, e.Active)
		compatibility[e.Version] = e.Compatibility
	}
	require.Equal(t, map[string]string{"3.43.2": jobs.UpToDate, "3.41.0": jobs.Outdated, "3.45.0": jobs.VersionAhead, "no version": ""}, compatibility)
	var queues []jobs.Queue
	get(t, f, "/api/v1/queues").decode(t, &queues)
	require.Equal(t, []jobs.Queue{{Name: "builds", Processing: 1, Executors: 4}, {Name: "idle", Executors: 4}, {Name: "other", Queued: 1}}, queues)

	f.Advance(time.Minute)
	get(t, f, "/api/v1/executors").decode(t, &executors)
	for _, e := range executors {
		require.False(t, e.Active)
	}
	get(t, f, "/api/v1/queues").decode(t, &queues)
	require.Zero(t, queues[0].Executors)
}

func TestEmptyFleet(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	for _, path := range []string{"/api/v1/executors", "/api/v1/queues"} {
		require.JSONEq(t, "[]", string(get(t, f, path).body))
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	want, err := readFile("openapi.yaml")
	require.NoError(t, err)
	anonymous := http.Header{"Authorization": {""}}
	got := call(t, f, request{"GET", "/api/v1/openapi.yaml", "", anonymous})
	require.Equal(t, string(want), string(got.body))
	got = call(t, f, request{"GET", "/api/v1/job.schema.json", "", anonymous})
	require.Equal(t, string(jobfile.Schema), string(got.body))
}
