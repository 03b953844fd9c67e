package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/runtime"
)

// keepingRuntime is one whose sessions outlive their executor.
type keepingRuntime struct {
	*fakeRuntime

	mu       sync.Mutex
	kept     map[string][]byte
	changed  chan struct{}
	keepErr  error
	resumed  []runtime.Job
	discards int
}

func newKeepingRuntime(steps map[string]func(context.Context, runtime.Job) error) *keepingRuntime {
	return &keepingRuntime{fakeRuntime: &fakeRuntime{steps: steps}, kept: map[string][]byte{}, changed: make(chan struct{})}
}

type keepingSession struct {
	fakeSession
	*keepingRuntime
}

// Run leaves the entry open of a step that another executor goes on with.
func (s keepingSession) Run(ctx context.Context, step runtime.Step) error {
	entry := s.fakeSession.job.Log.Open(step.Key, nil)
	if run, found := s.fakeSession.steps[step.Key]; found {
		if err := run(ctx, s.fakeSession.job); err != nil {
			return err
		}
	}
	entry.Close(0)
	return nil
}

func (s keepingSession) Close(ctx context.Context) error { return s.fakeSession.Close(ctx) }

func (s keepingSession) Keep(_ context.Context, name string, content []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keepErr != nil {
		return s.keepErr
	}
	s.kept[name] = content
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

func (r *keepingRuntime) Open(ctx context.Context, job runtime.Job) (runtime.Session, error) {
	opened, err := r.fakeRuntime.Open(ctx, job)
	return keepingSession{opened.(fakeSession), r}, err
}

func (r *keepingRuntime) Recall(_ context.Context, name string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	content, found := r.kept[name]
	if !found {
		return nil, fs.ErrNotExist
	}
	return content, nil
}

func (r *keepingRuntime) Resume(ctx context.Context, job runtime.Job) (runtime.Session, error) {
	r.resumed = append(r.resumed, job)
	return r.Open(ctx, job)
}

func (r *keepingRuntime) Discard(context.Context) error {
	r.discards++
	return nil
}

// await waits until what is kept of the log has a text.
func (r *keepingRuntime) await(t *testing.T, text string) {
	t.Helper()
	for {
		r.mu.Lock()
		log, changed := string(r.kept[keptLog]), r.changed
		r.mu.Unlock()
		if strings.Contains(log, text) {
			return
		}
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			require.FailNow(t, "not kept", "%q in %s", text, log)
		}
	}
}

func keepingRunner(t *testing.T, place runtime.Runtime, client *fakeClient) *Runner {
	return New(logtest.Scoped(t), place, func(api.Job) Client { return client }, Config{
		ExecutorName: "host-1", Queue: "default", Password: "shared-password", DockerAuth: auth("executor"), WorkspaceParent: t.TempDir(),
		Commands: &command.Runner{},
	})
}

// An executor dies in the second step of a job; another one recalls it and goes on with it.
func TestAJobIsGoneOnWith(t *testing.T) {
	t.Parallel()
	dead := make(chan struct{})
	place := newKeepingRuntime(nil)
	place.steps = map[string]func(context.Context, runtime.Job) error{"step.docker.two": func(context.Context, runtime.Job) error {
		place.await(t, `"key":"step.docker.two","id":3`)
		<-dead
		return runtime.ErrLeaseLost // so that this one, which doesn't really die, does nothing more
	}}
	client := &fakeClient{}
	job := api.Job{
		Version: api.JobV2, ID: 5, Token: "job-token", Queue: "q", Attempt: 2, Timeout: time.Minute, DockerSteps: containers("one", "two"),
		Files: map[string]api.File{"file": {Content: []byte("content")}}, RedactedValues: map[string]string{"secret": "***"}, DockerAuth: auth("job"),
	}
	ended := make(chan error, 1)
	go func() { ended <- keepingRunner(t, place, client).Handle(context.Background(), job) }()
	place.await(t, `"key":"step.docker.two","id":3`)

	left, err := Recall(t.Context(), place)
	require.NoError(t, err)
	want := job
	want.Files = map[string]api.File{}
	require.Equal(t, want, left.Job)
	require.WithinDuration(t, time.Now(), left.Began, time.Minute)
	require.NotContains(t, string(place.kept[keptJob]), "content", "files are in the workspace")
	close(dead)
	require.ErrorIs(t, <-ended, runtime.ErrLeaseLost)
	require.Equal(t, []string{"setup.fs.extras", "step.docker.one", "step.docker.two"}, client.keys(), "no teardown is told")
	require.Nil(t, client.entries[2].ExitCode, "the entry goes on elsewhere")

	place.steps = map[string]func(context.Context, runtime.Job) error{}
	require.NoError(t, keepingRunner(t, place, client).Resume(t.Context(), left))
	require.Equal(t, []string{"setup.fs.extras", "step.docker.one", "step.docker.two"}, client.keys())
	require.Equal(t, 0, *client.entries[2].ExitCode)
	require.Len(t, place.resumed, 1)
	require.Equal(t, place.resumed[0].Steps, place.job.Steps)
	require.Equal(t, auth("job"), place.resumed[0].DockerAuth)
	require.EqualValues(t, 2, place.resumed[0].Attempt)
	require.Equal(t, 2, place.closed)
}

func TestWhatCannotBeRecalled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ job, log, want string }{
		"nothing":       {"", "", "died before the job was ready"},
		"no log":        {`{"version":1}`, "", "died before the job was ready"},
		"other version": {`{"version":2}`, "[]", "version 2"},
		"no JSON":       {"x", "[]", "recalling the job"},
		"no list":       {`{"version":1}`, "{", "recalling the log"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := newKeepingRuntime(nil)
			for name, content := range map[string]string{keptJob: c.job, keptLog: c.log} {
				if content != "" {
					place.kept[name] = []byte(content)
				}
			}
			_, err := Recall(t.Context(), place)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// A job that can't be kept runs all the same.
func TestAJobThatCannotBeKept(t *testing.T) {
	t.Parallel()
	place := newKeepingRuntime(nil)
	place.keepErr = errors.New("no room")
	require.NoError(t, keepingRunner(t, place, &fakeClient{}).Handle(t.Context(), api.Job{ID: 5, DockerSteps: containers("one")}))
	place = newKeepingRuntime(nil)
	huge := api.Job{ID: 5, DockerSteps: []api.DockerStep{{Image: "alpine", Env: []string{fmt.Sprintf("A=%s", strings.Repeat("x", runtime.MaxKept))}}}}
	require.NoError(t, keepingRunner(t, place, &fakeClient{}).Handle(t.Context(), huge))
	require.NotContains(t, place.kept, keptJob)
}
