package executorapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/frontend/dispatch"
	"github.com/open-executor/executor/internal/frontend/executorapi"
	"github.com/open-executor/executor/internal/frontend/gitproxy"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/store"
	"github.com/open-executor/executor/internal/store/sqlite"
)

const sharedToken = "the-shared-token-of-all-executors"

// frontend is the executors' side of a frontend on a real store and real repositories.
type frontend struct {
	t     *testing.T
	store *sqlite.Store
	git   *gitproxy.Server
	hub   *notify.Hub
	api   *executorapi.Handler
	url   string

	mu  sync.Mutex
	now time.Time
}

func newFrontend(t *testing.T, repositories string) *frontend {
	t.Helper()
	f := &frontend{t: t, hub: &notify.Hub{}, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	var err error
	f.store, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "queue.db"), sqlite.Options{Clock: f.clock})
	require.NoError(t, err)
	f.git, err = gitproxy.New(logtest.Scoped(t), gitproxy.Config{Dir: repositories})
	require.NoError(t, err)
	f.api, err = executorapi.New(logtest.Scoped(t), f.store, f.hub, f.git, executorapi.Config{Token: sharedToken})
	require.NoError(t, err)
	server := httptest.NewServer(f.api)
	f.url = server.URL
	t.Cleanup(func() {
		f.api.Stop()
		server.CloseClientConnections()
		server.Close()
		http.DefaultClient.CloseIdleConnections()
		f.git.Close()
		require.NoError(t, f.store.Close())
	})
	return f
}

func (f *frontend) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *frontend) advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

func (f *frontend) submit(spec jobs.Spec) int64 {
	f.t.Helper()
	job, err := f.store.Submit(f.t.Context(), store.NewJob{Spec: spec})
	require.NoError(f.t, err)
	f.hub.Wake(notify.Queue(job.Queue))
	return job.ID
}

func (f *frontend) state(id int64) jobs.State {
	f.t.Helper()
	job, err := f.store.Job(f.t.Context(), id)
	require.NoError(f.t, err)
	return job.State
}

// call posts as an executor: with a job's token when there is one. It decodes a 200 into answer.
func (f *frontend) call(path string, body any, job *api.Job, answer any) int {
	raw, err := json.Marshal(body)
	require.NoError(f.t, err)
	request, err := http.NewRequestWithContext(f.t.Context(), "POST", f.url+"/.executors/queue/"+path, bytes.NewReader(raw))
	require.NoError(f.t, err)
	request.Header.Set("Authorization", "token-executor "+sharedToken)
	if job != nil {
		request.Header.Set("Authorization", "Bearer "+job.Token)
		request.Header.Set("X-Sourcegraph-Job-ID", fmt.Sprint(job.ID))
		request.Header.Set("X-Sourcegraph-Executor-Name", "ex-1")
	}
	if strings.HasSuffix(path, "dequeue") {
		request.Header.Set("Prefer", "wait=30")
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(f.t, err)
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK && answer != nil {
		require.NoError(f.t, json.NewDecoder(response.Body).Decode(answer))
	}
	return response.StatusCode
}

func (f *frontend) dequeue(executor string, queues ...string) api.Job {
	f.t.Helper()
	var job api.Job
	status := f.call("dequeue", api.DequeueRequest{Queues: queues, ExecutorName: executor, Version: "0.0.0+dev"}, nil, &job)
	require.Equal(f.t, http.StatusOK, status)
	return job
}

func git(t *testing.T, args ...string) (string, error) {
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "no_proxy=*")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func newRepositories(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"team/one", "team/two"} {
		path := filepath.Join(dir, name)
		for _, args := range [][]string{
			{"init", "--quiet", "--initial-branch=main", path},
			{"-C", path, "commit", "--quiet", "--allow-empty", "--message", name},
		} {
			out, err := git(t, args...)
			require.NoError(t, err, out)
		}
	}
	return dir
}

func work(queue string, repository *jobs.Repository) jobs.Spec {
	return jobs.Spec{
		Queue: queue, Repository: repository, Retries: 1,
		Steps:   []jobs.Step{{Key: "0", Image: "busybox", Run: []string{"true"}}},
		Secrets: map[string]jobs.Secret{"TOKEN": {Value: "s3cret"}},
	}
}

// One job's whole way: waited for, cloned with its own token, logged, renewed, lost, run again, errored, run again, done.
func TestJobsLife(t *testing.T) {
	t.Parallel()
	f := newFrontend(t, newRepositories(t))
	waiting := make(chan api.Job)
	go func() { waiting <- f.dequeue("ex-1", "default", "other") }()
	commit, err := f.git.Resolve(t.Context(), "team/one", "main")
	require.NoError(t, err)
	id := f.submit(work("default", &jobs.Repository{Name: "team/one", Commit: commit}))
	job := <-waiting
	require.Equal(t, id, job.ID)
	require.Equal(t, "default", job.Queue)
	require.Equal(t, 1, job.Attempt)
	require.Equal(t, []string{"TOKEN=s3cret"}, job.DockerSteps[0].Env)

	fetch := func(repository string) error {
		out, err := git(t,
			"-c", "http.extraHeader=Authorization: Bearer "+job.Token, "-c", "http.extraHeader=X-Sourcegraph-Job-ID: "+fmt.Sprint(job.ID),
			"-c", "http.extraHeader=X-Sourcegraph-Executor-Name: ex-1",
			"clone", "--quiet", f.url+"/.executors/git/"+repository, filepath.Join(t.TempDir(), "clone"))
		t.Log(out)
		return err
	}
	require.NoError(t, fetch("team/one"))
	require.Error(t, fetch("team/two"), "the token opens the job's repository only")

	op := api.JobOperation{ExecutorName: "ex-1", JobID: id}
	var entry int
	add := func() int {
		return f.call("default/addExecutionLogEntry", api.AddExecutionLogEntryRequest{JobOperation: op, ExecutionLogEntry: api.ExecutionLogEntry{Key: "k", Out: "stdout: a\n"}}, &job, &entry)
	}
	require.Equal(t, 200, add())
	require.Equal(t, 1, entry)
	require.Equal(t, 204, f.call("default/updateExecutionLogEntry", api.UpdateExecutionLogEntryRequest{
		JobOperation: op, EntryID: 1, ExecutionLogEntry: api.ExecutionLogEntry{Key: "k", Out: "stdout: a\nstdout: b\n"}}, &job, nil))
	pieces, err := f.store.ReadLog(t.Context(), id, 1, 0, 1<<20)
	require.NoError(t, err)
	var out []byte
	for _, piece := range pieces {
		out = append(out, piece.Data...)
	}
	require.Equal(t, "stdout: a\nstdout: b\n", string(out))

	// Heartbeats keep the lease alive for as long as they come.
	for range 3 {
		f.advance(20 * time.Second)
		var known api.HeartbeatResponse
		status := f.call("default/heartbeat", api.SingleQueueHeartbeat{Version: api.HeartbeatV2, ExecutorName: "ex-1", JobIDs: []int64{id, 999}}, nil, &known)
		require.Equal(t, 200, status)
		require.Equal(t, api.IDs{fmt.Sprint(id)}, known.KnownIDs)
		require.Equal(t, 200, add())
	}
	// Without them the token ends with the lease.
	f.advance(26 * time.Second)
	f.sweep()
	require.Equal(t, jobs.Queued, f.state(id))
	require.Equal(t, 401, add())

	first := job
	job = f.dequeue("ex-1", "default")
	require.Equal(t, 2, job.Attempt)
	require.Equal(t, 200, add())
	require.Equal(t, 401, f.call("default/markComplete", op, &first, nil), "the first attempt's token is worth nothing")
	require.Equal(t, 204, f.call("default/markErrored", api.MarkErroredRequest{JobOperation: op, ErrorMessage: "exit code 1"}, &job, nil))
	require.Equal(t, jobs.Errored, f.state(id))

	f.advance(time.Minute)
	job = f.dequeue("ex-1", "other", "default")
	require.Equal(t, 3, job.Attempt)
	_, err = f.store.Cancel(t.Context(), id)
	require.NoError(t, err)
	var told api.HeartbeatResponse
	f.call("heartbeat", api.MultiQueueHeartbeat{ExecutorName: "ex-1", QueueNames: []string{"default"},
		JobIDsByQueue: []api.QueueJobIDs{{QueueName: "default", JobIDs: api.IDs{fmt.Sprint(id)}}}}, nil, &told)
	require.Equal(t, api.IDs{fmt.Sprint(id) + "-default"}, told.CancelIDs)
	require.Equal(t, 204, f.call("default/markFailed", api.MarkErroredRequest{JobOperation: op, ErrorMessage: "canceled"}, &job, nil))
	require.Equal(t, jobs.Canceled, f.state(id))
	require.Equal(t, 401, f.call("default/markComplete", op, &job, nil))
	require.Equal(t, 404, f.call("default/markComplete", op, nil, nil))
}

// sweep lets the sweeper run once.
func (f *frontend) sweep() {
	ctx, cancel := context.WithCancel(f.t.Context())
	ticks, done := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(done)
		dispatch.NewSweeper(logtest.Scoped(f.t), f.store, f.hub).Run(ctx, ticks)
	}()
	ticks <- time.Time{}
	ticks <- time.Time{} // taken when the first sweep is over
	cancel()
	<-done
}

// Many executors that wait for few jobs: each job goes to exactly one of them.
func TestEachJobIsLeasedOnce(t *testing.T) {
	t.Parallel()
	f := newFrontend(t, "")
	const executors, total = 12, 24
	leased := make(chan int64, total)
	var waiting sync.WaitGroup
	for i := range executors {
		waiting.Go(func() {
			for range total / executors {
				leased <- f.dequeue(fmt.Sprintf("ex-%d", i), "default", "other").ID
			}
		})
	}
	var submitted []int64
	for i := range total {
		submitted = append(submitted, f.submit(work([]string{"default", "other"}[i%2], nil)))
	}
	waiting.Wait()
	close(leased)
	var got []int64
	for id := range leased {
		got = append(got, id)
	}
	slices.Sort(got)
	require.Equal(t, submitted, got)
}
