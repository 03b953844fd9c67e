// Package jobsapitest runs the jobs API over a store in memory, for tests of the API and of its clients, and plays the
// executor that works on its jobs.
package jobsapitest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sourcegraph/log"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/frontend/jobsapi"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/store"
	"github.com/open-executor/executor/internal/store/sqlite"
)

const (
	// Token is the jobs API's.
	Token = "token-of-the-jobs-api"
	// Version is the frontend's.
	Version = "3.43.0"
	// Commit is what the revision "main" of the repository "my/repo" resolves to.
	Commit = "0123456789abcdef0123456789abcdef01234567"
)

// Frontend is a running jobs API.
type Frontend struct {
	*httptest.Server
	Handler *jobsapi.Handler
	Store   *sqlite.Store
	Hub     *notify.Hub

	t  testing.TB
	mu sync.Mutex
	// now is the time of store and handler.
	now time.Time
}

// Options change how a Frontend starts.
type Options struct {
	// Store stands between handler and store, to let it fail for example.
	Store func(jobsapi.Store) jobsapi.Store
	// Proxy stands between server and handler.
	Proxy func(http.Handler) http.Handler
	// Config of the handler; Version and Now are set.
	Config jobsapi.Config
}

// Start starts a frontend at 2026-01-02 03:04:05 UTC, which ends with the test.
func Start(t testing.TB, options Options) *Frontend {
	t.Helper()
	f := &Frontend{t: t, Hub: &notify.Hub{}, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	opened, err := sqlite.Open(context.Background(), sqlite.Memory, sqlite.Options{Clock: f.Now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	f.Store = opened
	var stored jobsapi.Store = opened
	if options.Store != nil {
		stored = options.Store(stored)
	}
	options.Config.Version, options.Config.Now = Version, f.Now
	f.Handler, err = jobsapi.New(log.NoOp(), stored, f.Hub, resolver{}, Token, options.Config)
	require.NoError(t, err)
	var handler http.Handler = f.Handler
	if options.Proxy != nil {
		handler = options.Proxy(handler)
	}
	f.Server = httptest.NewServer(handler)
	t.Cleanup(func() {
		f.Handler.EndStreams()
		f.Server.Close()
	})
	return f
}

// Now is the frontend's time.
func (f *Frontend) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Advance lets time pass.
func (f *Frontend) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

// Submit stores a job past the API.
func (f *Frontend) Submit(spec jobs.Spec) int64 {
	f.t.Helper()
	job, err := f.Store.Submit(context.Background(), store.NewJob{Spec: spec})
	require.NoError(f.t, err)
	return job.ID
}

// Spec is a small job of the queue.
func Spec(queue string) jobs.Spec {
	return jobs.Spec{Queue: queue, Steps: []jobs.Step{{Key: "build", Image: "debian:12", Run: []string{"make"}}}}
}

// resolver knows one branch of one repository, and one repository that doesn't answer.
type resolver struct{}

func (resolver) Resolve(_ context.Context, repository, revision string) (string, error) {
	switch {
	case repository == "down/repo":
		return "", errors.New("connection refused by 10.0.0.1")
	case repository != "my/repo":
		return "", fault.Userf("this frontend has no repository %q", repository)
	case revision != "main" && !strings.EqualFold(revision, Commit):
		return "", fault.Userf("the repository %q has no branch, tag or commit %q", repository, revision)
	}
	return Commit, nil
}
