//go:build e2e && docker

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
)

// An image that its registry does not have fails the job, and the log has the registry's words.
func TestImageDoesNotExist(t *testing.T) {
	t.Parallel()
	image := registry(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such manifest on this shelf"}]}`)
	})
	frontend := harness.StartFrontend(t)
	harness.StartExecutor(t, frontend.URL, t.TempDir(), "docker")
	submitted := frontend.Submit(t, fmt.Sprintf("steps: [{image: %q, run: echo never}]", image))
	job, log := frontend.Await(t, submitted.ID)
	require.Equal(t, jobs.Failed, job.State)
	said := fmt.Sprintf("The step did not start: image %s could not be pulled: ", image)
	require.Contains(t, log, said)
	require.Contains(t, log, "no such manifest on this shelf")
	require.Contains(t, job.Reason, "no such manifest on this shelf")
}

// A pull that hangs does not keep a job from being stopped, nor does the container start later.
func TestCanceledWhileItPulls(t *testing.T) {
	t.Parallel()
	asked, over := make(chan struct{}, 100), make(chan struct{})
	image := registry(t, func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-over
	})
	t.Cleanup(func() { close(over) })
	frontend := harness.StartFrontend(t)
	executor := harness.StartExecutor(t, frontend.URL, t.TempDir(), "docker", "EXECUTOR_STOP_GRACE_PERIOD="+grace.String())
	submitted := frontend.Submit(t, fmt.Sprintf("steps: [{image: %q, run: echo never}]", image))
	select {
	case <-asked:
	case <-harness.Context(t).Done():
		require.Fail(t, "the engine did not ask the registry")
	}
	_, err := frontend.Client.Cancel(harness.Context(t), submitted.ID)
	require.NoError(t, err)
	job, log := frontend.Await(t, submitted.ID)
	require.Equal(t, jobs.Canceled, job.State)
	require.Contains(t, log, "The step was stopped: the job was canceled.\n")
	require.LessOrEqual(t, job.Attempts[0].EndedAt.Sub(executor.LoggedAt("job canceled by the frontend")), grace+promise)
	require.Empty(t, harness.Leftovers(t, executor.TempDir))
	require.Empty(t, harness.Containers(t, "open-executor.executor="+executor.Name))
	require.Empty(t, harness.ProcessesWith(t, executor.Name), "clients of the engine")
}

// registry starts a registry that answers every request about an image by answer, and returns the image's name.
func registry(t *testing.T, answer http.HandlerFunc) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	// The engine speaks plain HTTP with registries on the loopback interface.
	return strings.TrimPrefix(server.URL, "http://") + "/shelf/image:1"
}

// A step that takes more memory than it may says so, with the limit.
func TestStepRunsOutOfMemory(t *testing.T) {
	t.Parallel()
	frontend := harness.StartFrontend(t)
	harness.StartExecutor(t, frontend.URL, t.TempDir(), "docker", "EXECUTOR_JOB_MEMORY=32M")
	submitted := frontend.Submit(t, fmt.Sprintf("steps: [{image: %q, run: tail /dev/zero}]", harness.Image(t)))
	job, log := frontend.Await(t, submitted.ID)
	require.Equal(t, jobs.Failed, job.State)
	require.Contains(t, log, "The step was killed: out of memory (limit 32M).\n")
	require.Equal(t, `running command "step.docker.0": The step was killed: out of memory (limit 32M): command failed with exit code 137`, job.Reason)
}

// A job whose engine does not answer says so.
func TestEngineDoesNotAnswer(t *testing.T) {
	t.Parallel()
	frontend := harness.StartFrontend(t)
	executor := harness.StartExecutor(t, frontend.URL, t.TempDir(), "docker", "DOCKER_HOST=unix:///nowhere/docker.sock")
	submitted := frontend.Submit(t, fmt.Sprintf("steps: [{image: %q, run: echo never}]", harness.Image(t)))
	job, log := frontend.Await(t, submitted.ID)
	require.Equal(t, jobs.Failed, job.State)
	require.Contains(t, log, "Cannot connect to the Docker daemon at unix:///nowhere/docker.sock")
	require.Contains(t, job.Reason, "Cannot connect to the Docker daemon at unix:///nowhere/docker.sock")
	require.Empty(t, harness.Leftovers(t, executor.TempDir))
}
