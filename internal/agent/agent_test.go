package agent

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sourcegraph/log"
	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// running starts an agent with this host's tools; its result comes by the channel.
func running(ctx context.Context, t *testing.T, frontendURL string, env map[string]string) (*Agent, <-chan error) {
	t.Helper()
	a := New(logtest.Scoped(t), settings(t, frontendURL, env), NewTools())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	return a, ended
}

// shellJob has one step, "only".
func shellJob(commands ...string) api.Job {
	return api.Job{DockerSteps: []api.DockerStep{{Key: "only", Image: "none", Commands: commands}}}
}

func TestAgentRunsItsTotalOfJobs(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	id := frontend.Enqueue(shellJob("echo hello"))
	a, ended := running(t.Context(), t, frontend.URL(), map[string]string{"EXECUTOR_NUM_TOTAL_JOBS": "1"})
	require.NoError(t, <-ended)
	report, err := frontend.Result(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, api.Report{Result: api.Complete}, report)
	require.True(t, strings.HasPrefix(a.name, "machine-"), a.name)
	left, err := filepath.Glob(filepath.Join(a.config.TempDir, "*", "*"))
	require.NoError(t, err)
	require.Empty(t, left, "neither a workspace nor the record of the executor is left")
}

func TestAgentsAreNamedAnew(t *testing.T) {
	t.Parallel()
	config := settings(t, "http://frontend.test", nil)
	require.NotEqual(t, New(log.NoOp(), config, NewTools()).name, New(log.NoOp(), config, NewTools()).name)
}

func TestDrainLetsTheRunningJobEnd(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	release := filepath.Join(t.TempDir(), "go")
	id := frontend.Enqueue(shellJob("while [ ! -e " + release + " ]; do sleep 0.05; done"))
	later := frontend.Enqueue(shellJob("true"))
	a, ended := running(t.Context(), t, frontend.URL(), nil)
	awaitStep(t, frontend)
	a.Drain()
	require.NoError(t, os.WriteFile(release, nil, 0o600))
	require.NoError(t, <-ended)
	report, err := frontend.Result(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, api.Complete, report.Result)
	require.Empty(t, frontend.Entries(later))
}

// Drain and Stop come from a signal and from the program's own end, perhaps at the same moment: neither may be lost.
func TestStopEndsTheRunningJob(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	id := frontend.Enqueue(shellJob("sleep 1000"))
	a, ended := running(t.Context(), t, frontend.URL(), nil)
	awaitStep(t, frontend)
	for range 8 {
		go a.Drain()
	}
	go a.Stop()
	require.NoError(t, <-ended)
	report, err := frontend.Result(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, api.Errored, report.Result)
	require.Contains(t, report.Message, "executor is shutting down")
}

func awaitStep(t *testing.T, frontend *frontendtest.Frontend) {
	t.Helper()
	_, err := frontend.Await(t.Context(), func(r frontendtest.Request) bool {
		return strings.Contains(string(r.Body), `"step.docker.only"`)
	})
	require.NoError(t, err)
}

// An order may come while nothing runs yet; it holds for the worker, too, that is made after it.
func TestOrdersBeforeTheFrontendAnswers(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]func(*Agent){"drain": (*Agent).Drain, "stop": (*Agent).Stop} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pinged := make(chan struct{}, 100)
			frontend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				pinged <- struct{}{}
				w.WriteHeader(http.StatusServiceUnavailable)
			}))
			defer frontend.Close()
			logger, _ := logtest.Captured(t)
			a := New(logger, settings(t, frontend.URL, nil), NewTools())
			ended := make(chan error, 1)
			go func() { ended <- a.Run(t.Context()) }()
			<-pinged
			order(a)
			require.ErrorIs(t, <-ended, ErrInterrupted)

			a = New(logger, settings(t, frontend.URL, nil), NewTools())
			order(a)
			require.ErrorIs(t, a.Run(t.Context()), ErrInterrupted)
		})
	}
}

func TestContextEndsTheWaitAndTheWork(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	frontend.Enqueue(shellJob("sleep 1000"))
	ctx, cancel := context.WithCancel(t.Context())
	_, ended := running(ctx, t, frontend.URL(), nil)
	awaitStep(t, frontend)
	cancel()
	require.NoError(t, <-ended)

	_, ended = running(ctx, t, frontend.URL(), nil)
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestWhatKeepsAnAgentFromStarting(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for want, env := range map[string]map[string]string{
		"TMPDIR: ":            {"TMPDIR": filepath.Join(file, "below")},
		"EXECUTOR_STATE_DIR":  {"EXECUTOR_STATE_DIR": file},
		"install kernel":      {"EXECUTOR_RUNTIME": "auto", "EXECUTOR_VM_DIR": t.TempDir()},
		"EXECUTOR_DEBUG_ADDR": {"EXECUTOR_DEBUG_ADDR": taken.Addr().String()},
		"NODE_EXPORTER_URL":   {"NODE_EXPORTER_URL": "elsewhere"},
	} {
		config := settings(t, "http://127.0.0.1:1", env)
		err := New(logtest.Scoped(t), config, complete(nil)).Run(t.Context())
		require.ErrorContains(t, err, want)
		require.Equal(t, fault.Operator, fault.ClassOf(err), want)
		left, err := filepath.Glob(filepath.Join(config.StateDir, "*"))
		require.NoError(t, err)
		require.Empty(t, left, "the record of an executor that did not start is gone")
	}
}

// Each job has its own calls besides the worker's: their connections are kept, not made anew.
func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	transport := newTransport(8)
	require.Equal(t, 18, transport.MaxIdleConnsPerHost)
	require.GreaterOrEqual(t, transport.MaxIdleConns, transport.MaxIdleConnsPerHost)
	require.Equal(t, http.DefaultTransport.(*http.Transport).IdleConnTimeout, transport.IdleConnTimeout)
	require.NotNil(t, transport.Proxy)
}

func TestMetricsCountStepsTogether(t *testing.T) {
	t.Parallel()
	for key, op := range map[string]string{
		"step.docker.build": "exec",
		"step.src.0":        "exec",
		"setup.git.fetch":   "setup.git.fetch",
	} {
		require.Equal(t, op, commandOp(key))
	}
}
