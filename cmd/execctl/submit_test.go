package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/frontend/jobsapi/jobsapitest"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/store"
)

const job = `
repository: {name: my/repo, commit: main}
steps: [{key: build, image: "debian:12", run: make}]
secrets: {TOKEN: {env: MY_TOKEN}}
`

// TestSubmit: every way to submit or repeat a job and to wait for it, with jobs that complete and jobs that fail.
func TestSubmit(t *testing.T) {
	s := newShell(t)
	file := filepath.Join(t.TempDir(), "job.yaml")
	require.NoError(t, os.WriteFile(file, []byte(job), 0o600))
	var all strings.Builder
	for _, command := range []string{
		"submit FILE", "submit FILE --wait", "submit --follow FILE", "submit FILE --follow --verbose", "submit FILE --wait --follow",
		"submit FILE -o json", "submit FILE -w -o json", "submit FILE -f -o json", "submit -", "retry 1 --wait", "retry 1 -f",
	} {
		for _, code := range []int{0, 3} {
			all.WriteString(s.submit(strings.ReplaceAll(command, "FILE", file), code))
		}
	}
	golden(t, "submit", strings.ReplaceAll(all.String(), file, "job.yaml"))
}

// submit runs a command that starts a job, beside an executor that ends its step with a code.
func (s *shell) submit(command string, code int) string {
	s.t.Helper()
	w, stdout, stderr := s.world(job, strings.Fields(command)...)
	queue := s.f.Hub.Wait(notify.Queue("default"))
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		<-queue
		run := s.f.Lease("default")
		run.Step("step.docker.build", "hello\n", code)
		if code == 0 {
			run.Finish(store.Complete, "")
		} else {
			run.Finish(store.Fail, "exit code 3")
		}
	}()
	exit := run(context.Background(), w)
	<-worked
	// Whether the reader comes before the executor is chance; it changes nothing but these.
	out := s.transcript(command, stdout, stderr, exit)
	for _, early := range []string{"waiting for an executor\n", `{"event":"state","data":{"state":"queued"}}` + "\n", `{"event":"state","data":{"state":"processing"}}` + "\n"} {
		out = strings.ReplaceAll(out, early, "")
	}
	return out
}

func TestSubmitTakesSecretsFromTheEnvironment(t *testing.T) {
	s := newShell(t)
	w, stdout, _ := s.world(job, "submit", "-", "-o", "json")
	require.Zero(t, run(context.Background(), w))
	require.NotContains(t, stdout.String(), "s3cret")
	lease, err := s.f.Store.Lease(context.Background(), store.LeaseRequest{Queues: []string{"default"}, Executor: "e"})
	require.NoError(t, err)
	require.Equal(t, "s3cret-value", lease.Spec.Secrets["TOKEN"].Value)
	require.Equal(t, jobsapitest.Commit, lease.Spec.Repository.Commit)

	delete(s.env, "MY_TOKEN")
	w, _, stderr := s.world(job, "submit", "-")
	require.Equal(t, exitUsage, run(context.Background(), w))
	require.Equal(t, "execctl: standard input:4:24: secrets.TOKEN.env: the variable MY_TOKEN is not set in your environment\n", stderr.String())
}

// TestInterrupt: Ctrl-C ends the watching, not the job.
func TestInterrupt(t *testing.T) {
	for _, flag := range []string{"--follow", "--wait"} {
		s := newShell(t)
		w, stdout, stderr := s.world(job, "submit", "-", flag)
		ctx, cancel := context.WithCancelCause(context.Background())
		code := make(chan int)
		go func() { code <- run(ctx, w) }()
		stdout.await("job 1 is queued")
		cancel(errInterrupted)
		require.Equal(t, exitInterrupted, <-code)
		require.Equal(t, "execctl: interrupted; job 1 goes on: execctl logs -f 1 shows it, execctl cancel 1 stops it\n", stderr.String())
		require.Contains(t, s.run("list"), "queued")
	}
}
