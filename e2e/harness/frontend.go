package harness

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/apiclient"
	"github.com/open-executor/executor/internal/jobfile"
)

// ExecutorToken is the shared token that the harness gives to frontends and executors.
const ExecutorToken = "e2e-shared-executor-token"

// Frontend is a running frontend process.
type Frontend struct {
	*Process
	URL     string
	DataDir string
	// Token is the token of its jobs API.
	Token string
	// Client is a client of its jobs API.
	Client *apiclient.Client
	env    []string
}

// StartFrontend starts a frontend on a free port with a data directory of its own. Env is added to its environment.
func StartFrontend(t testing.TB, env ...string) *Frontend {
	t.Helper()
	return StartFrontendAt(t, "127.0.0.1", env...)
}

// StartFrontendAt is StartFrontend at another address of this host, by which the pods of a cluster reach it for example.
func StartFrontendAt(t testing.TB, host string, env ...string) *Frontend {
	t.Helper()
	f := &Frontend{DataDir: filepath.Join(t.TempDir(), "data")}
	f.env = append([]string{"FRONTEND_DATA_DIR=" + f.DataDir, "FRONTEND_EXECUTOR_TOKEN=" + ExecutorToken}, env...)
	f.start(t, net.JoinHostPort(host, "0"))
	return f
}

// Restart starts the frontend again on its address and data; call it after Kill or a signal and Wait.
func (f *Frontend) Restart(t testing.TB) {
	t.Helper()
	f.start(t, strings.TrimPrefix(f.URL, "http://"))
}

func (f *Frontend) start(t testing.TB, address string) {
	t.Helper()
	f.Process = StartProcess(t, append(f.env, "FRONTEND_LISTEN_ADDR="+address), "frontend", "serve")
	f.URL = "http://" + f.AwaitOutput("listening on http://")
	token, err := os.ReadFile(filepath.Join(f.DataDir, "api-token"))
	require.NoError(t, err)
	f.Token = strings.TrimSpace(string(token))
	f.Client, err = apiclient.New(f.URL, f.Token, apiclient.Config{})
	require.NoError(t, err)
}

// Submit submits a job file given as text and returns the job.
func (f *Frontend) Submit(t testing.TB, text string) jobs.Job {
	t.Helper()
	spec, err := jobfile.Parse("job.yaml", []byte(text), jobfile.Options{Env: os.LookupEnv})
	require.NoError(t, err)
	job, err := f.Client.Submit(Context(t), spec)
	require.NoError(t, err)
	return job
}

// Await follows a job to its end and returns it with its log.
func (f *Frontend) Await(t testing.TB, id int64) (jobs.Job, string) {
	t.Helper()
	ctx := Context(t)
	_, err := f.Client.Follow(ctx, id, apiclient.Position{}, func(apiclient.Event) error { return nil })
	require.NoError(t, err)
	job, err := f.Client.Job(ctx, id)
	require.NoError(t, err)
	return job, f.Log(t, id, 0)
}

// Log returns what an attempt's log has now; attempt 0 is the last one.
func (f *Frontend) Log(t testing.TB, id int64, attempt int) string {
	t.Helper()
	var text strings.Builder
	require.NoError(t, f.Client.Log(Context(t), id, attempt, &text))
	return text.String()
}

// AwaitLog waits until the log of the job's last attempt has a text.
func (f *Frontend) AwaitLog(t testing.TB, id int64, text string) {
	t.Helper()
	ctx, found := context.WithCancel(Context(t))
	defer found()
	var log strings.Builder
	_, err := f.Client.Follow(ctx, id, apiclient.Position{}, func(event apiclient.Event) error {
		if event.Output != nil {
			log.WriteString(event.Output.Text)
		}
		if strings.Contains(log.String(), text) {
			found()
		}
		return nil
	})
	require.Contains(t, log.String(), text, "log of job %d (%v)", id, err)
}
