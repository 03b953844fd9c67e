// Package frontendtest is a frontend for tests: an HTTP server on the loopback interface that answers executors like the reference
// does (spec sections 3.2 and A2 to A3), from memory and on the test's command.
//
//	frontend := frontendtest.New(t)
//	id := frontend.Enqueue(api.Job{Queue: "batches", DockerSteps: steps})
//	// start an executor with EXECUTOR_FRONTEND_URL=frontend.URL() and EXECUTOR_FRONTEND_PASSWORD=frontendtest.Token
//	report, err := frontend.Result(ctx, id)
//	entries := frontend.Entries(id)
//
// It knows every queue, keeps leases for ever, and gives each job to one executor once. Statuses and bodies of refusals are
// the reference's: a wrong token is 401, an ended lease is 401 for a job's token and 404 with body null for the shared one, log calls
// about somebody else's job are 500 with {"error":"unknown job"}, and files want a job of the queue batches. Advertise turns
// it into a frontend with our extensions, FailNext into one with failures.
package frontendtest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/open-executor/executor/internal/api"
)

// Token is the shared token.
const Token = "frontendtest-shared-token"

// Frontend is made by New. Its methods may be called from any goroutine at any time.
type Frontend struct {
	t      testing.TB
	server *httptest.Server
	// closing ends what waits inside the frontend.
	closing chan struct{}

	mu sync.Mutex
	// changed is closed, and replaced, whenever anything below changes.
	changed    chan struct{}
	jobs       []*job
	requests   []Request
	failures   []*failure
	files      map[string][]byte
	repos      map[string]string
	extensions []string
	srcVersion string
}

// New starts a frontend that ends with the test.
func New(t testing.TB) *Frontend {
	t.Helper()
	f := &Frontend{
		t:          t,
		closing:    make(chan struct{}),
		changed:    make(chan struct{}),
		files:      make(map[string][]byte),
		repos:      make(map[string]string),
		srcVersion: "5.2.1",
	}
	f.server = httptest.NewServer(f.recorded(f.routes()))
	t.Cleanup(func() {
		close(f.closing)
		f.server.Close()
	})
	return f
}

// URL is the base URL, without a path: http://127.0.0.1:port.
func (f *Frontend) URL() string { return f.server.URL }

// HTTP returns a client whose idle connections end with the test.
func (f *Frontend) HTTP() *http.Client { return f.server.Client() }

// Advertise makes the frontend name these extensions in its answers and hold dequeues that prefer to wait, as ours does.
func (f *Frontend) Advertise(extensions ...string) {
	f.change(func() { f.extensions = extensions })
}

// SetSrcCLIVersion sets the recommended version of src, 5.2.1 at first.
func (f *Frontend) SetSrcCLIVersion(version string) {
	f.change(func() { f.srcVersion = version })
}

// ServeFile makes the files endpoint answer with content for a bucket and key.
func (f *Frontend) ServeFile(bucket, key string, content []byte) {
	f.change(func() { f.files[bucket+"/"+key] = slices.Clone(content) })
}

// ServeGit makes the git endpoint serve the repository in dir, bare or not, under a name. The git command serves it, with
// filters and fetches of any commit allowed.
func (f *Frontend) ServeGit(name, dir string) {
	f.change(func() { f.repos[name] = dir })
}

// Enqueue adds a job to the end of job.Queue, "batches" when that is empty, and returns its id. A zero ID is replaced by the next free
// one, a zero Version by what the executor that takes the job can read. The Token is made anew when the job is taken, unless one is
// given.
func (f *Frontend) Enqueue(wanted api.Job) int64 {
	f.t.Helper()
	added := &job{Job: wanted, state: queued}
	if added.Queue == "" {
		added.Queue = "batches"
	}
	duplicate := false
	f.change(func() {
		if added.ID == 0 {
			added.ID = f.nextID()
		}
		duplicate = f.find(added.ID) != nil
		f.jobs = append(f.jobs, added)
	})
	if duplicate {
		f.t.Errorf("frontendtest: job %d is enqueued twice", added.ID)
	}
	return added.ID
}

// Cancel asks the job's executor to stop it: its id is in cancelIds from the next heartbeat on.
func (f *Frontend) Cancel(id int64) {
	f.changeJob(id, func(job *job) { job.cancel = true })
}

// Forget ends the lease of a job without a result: heartbeats don't know it any more, its token is refused, and its log is closed.
func (f *Frontend) Forget(id int64) {
	f.changeJob(id, func(job *job) { job.state, job.token = forgotten, "" })
}

// Entries returns the job's log as it is now. The id of an entry is its index plus one.
func (f *Frontend) Entries(id int64) []api.ExecutionLogEntry {
	var entries []api.ExecutionLogEntry
	f.changeJob(id, func(job *job) { entries = slices.Clone(job.entries) })
	return entries
}

// Result waits for the end of a job and returns how it was reported.
func (f *Frontend) Result(ctx context.Context, id int64) (api.Report, error) {
	var report api.Report
	err := f.wait(ctx, func() bool {
		job := f.find(id)
		if job == nil || job.state != ended {
			return false
		}
		report = job.report
		return true
	})
	return report, err
}

func (f *Frontend) change(apply func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	apply()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *Frontend) changeJob(id int64, apply func(*job)) {
	f.t.Helper()
	known := false
	f.change(func() {
		if job := f.find(id); job != nil {
			known = true
			apply(job)
		}
	})
	if !known {
		f.t.Errorf("frontendtest: there is no job %d", id)
	}
}

// wait calls reached, with the lock held, after every change until it holds.
func (f *Frontend) wait(ctx context.Context, reached func() bool) error {
	for {
		f.mu.Lock()
		done, changed := reached(), f.changed
		f.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.closing:
			return errors.New("frontendtest: the frontend is closed")
		}
	}
}
