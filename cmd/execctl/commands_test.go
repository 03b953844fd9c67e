package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/frontend/jobsapi/jobsapitest"
	"github.com/open-executor/executor/internal/store"
)

// busy fills a frontend: job 1 completed at the second attempt, 2 failed, 3 runs, 4 and 5 wait.
func busy(t *testing.T) *shell {
	t.Helper()
	s := newShell(t)
	f := s.f
	spec := jobsapitest.Spec("default")
	spec.Retries = 1
	spec.Repository = &jobs.Repository{Name: "my/repo", Commit: jobsapitest.Commit}
	spec.Secrets = map[string]jobs.Secret{"TOKEN": {Value: "s3cret-value"}}
	f.Submit(spec)
	f.Advance(2 * time.Second)
	run := f.Lease("default")
	run.Step("step.docker.build", "no\n", 2)
	f.Advance(3 * time.Second)
	run.Finish(store.Errored, "step \"build\" ended\nwith exit code 2")
	f.Advance(time.Minute)
	run = f.Lease("default")
	id := run.Open("setup.git.fetch", "git", "fetch")
	f.Advance(412 * time.Millisecond)
	run.Exit(id, 0)
	run.Step("step.docker.build", "hello\nwörld\n", 0)
	f.Advance(90 * time.Second)
	run.Finish(store.Complete, "")
	for range 3 {
		f.Submit(jobsapitest.Spec("default"))
	}
	f.Submit(jobsapitest.Spec("builds"))
	f.Lease("default").Finish(store.Fail, "image \x1b[2Jnot found")
	f.Lease("default").Step("step.docker.build", "on its way\n", 0)
	for _, version := range []string{"3.43.1", "3.41.0"} {
		executor := store.Executor{Name: "executor-" + version, Queues: []string{"default", "builds"}, Telemetry: api.Telemetry{ExecutorVersion: version}}
		require.NoError(t, f.Store.Seen(context.Background(), executor))
		f.Advance(time.Minute)
	}
	require.NoError(t, f.Store.Seen(context.Background(), store.Executor{Name: jobsapitest.Executor, Queues: []string{"default"}, Telemetry: api.Telemetry{ExecutorVersion: "3.43.0"}}))
	f.Advance(5 * time.Second)
	return s
}

func TestCommands(t *testing.T) {
	s := busy(t)
	var all strings.Builder
	for _, command := range []string{
		"list", "list --state processing --state queued", "list --queue builds", "list --limit 2", "list --output json --limit 1",
		"show 1", "show 2", "show 3", "show 1 -o json",
		"logs 1", "logs 1 --attempt 1", "logs -f 1", "logs 1 -f --verbose", "logs 1 -f -o json", "logs 2 --follow", "logs 4",
		"executors", "executors -o json", "queues", "--output json queues",
		"cancel 5", "cancel 3", "show 3 -o json", "cancel 1", "cancel 99 -o json",
		"retry 2", "retry 2 -o json", "retry 4",
		"list --queue nothing", "list --queue Nothing",
	} {
		all.WriteString(s.run(command))
	}
	golden(t, "commands", all.String())
}

func TestListGoesThroughPages(t *testing.T) {
	s := newShell(t)
	for range 503 {
		s.f.Submit(jobsapitest.Spec("default"))
	}
	require.Len(t, strings.Split(s.run("list --limit 502"), "\n"), 502+4)
	require.Len(t, strings.Split(s.run("list --limit 1000"), "\n"), 503+4)
}
