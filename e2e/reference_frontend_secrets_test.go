//go:build e2e

package e2e

import (
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// What is secret stands in no process's arguments and in no log: not the shared token, not the job's, not the job's own secrets.
func TestReferenceFrontendSecretsStaySecret(t *testing.T) {
	t.Parallel()
	testSecrets(t, "shell", "none")
}

func testSecrets(t *testing.T, runtime, image string) {
	frontend := frontendtest.New(t)
	dir, commit := repository(t)
	frontend.ServeGit("my/repo", dir)
	secrets := map[string]string{"shared token": frontendtest.Token, "job token": "job-" + rand.Text(), "job secret": "secret-" + rand.Text()}
	lookout := newLookout(secrets)
	relay := harness.NewRelay(t, frontend.URL(), "", func(*http.Request) { lookout.look() })
	relay.Open()
	executor := harness.StartExecutor(t, relay.URL, t.TempDir(), runtime,
		referenceEnv("SRC_LOG_LEVEL=debug", tools(t, "src", `echo $SECRET; env | grep -c EXECUTOR_FRONTEND_PASSWORD`))...)

	env := []string{"SECRET=" + secrets["job secret"], "LINES=begin\n" + secrets["job secret"], "JOB_TOKEN=" + secrets["job token"], "SHARED=" + secrets["shared token"]}
	id := frontend.Enqueue(api.Job{
		Token:          secrets["job token"],
		RepositoryName: "my/repo", Commit: commit,
		DockerSteps: []api.DockerStep{{Key: "only", Image: image, Env: env, Commands: []string{
			// The one that the log must show is the proof that the others were there to be masked.
			`echo "$SECRET $LINES $JOB_TOKEN $SHARED" visible`, "env | grep -c EXECUTOR_FRONTEND_PASSWORD",
		}}},
		CliSteps:       []api.CliStep{{Key: "tell", Env: env}},
		RedactedValues: map[string]string{secrets["job secret"]: "${{ secrets.SECRET }}"},
	})
	report := result(t, frontend, id)
	require.Contains(t, report.Message, "command failed with exit code 1", "grep -c finds nothing in the step")
	again := frontend.Enqueue(api.Job{Token: secrets["job token"], CliSteps: []api.CliStep{{Key: "tell", Env: env}}, RedactedValues: map[string]string{secrets["job secret"]: "MASKED"}})
	require.Contains(t, result(t, frontend, again).Message, "command failed with exit code 1", "nor in a src step")

	require.Contains(t, stepOutput(frontend.Entries(id)), "${{ secrets.SECRET }} begin ${{ secrets.SECRET }} SECRET_REMOVED SECRET_REMOVED visible 0")
	require.Equal(t, "MASKED 0", stepOutput(frontend.Entries(again)))
	require.Empty(t, lookout.found())
	require.Greater(t, lookout.rounds(), 10)
	for name, secret := range secrets {
		require.NotContains(t, executor.Output(), secret, name)
		for _, request := range frontend.Requests() {
			require.NotContains(t, string(request.Body), secret, "%s in the body of %s", name, request.Path)
			require.NotContains(t, request.Path, secret, name)
		}
	}
}

// lookout looks through the arguments of all processes of this host, as its other users can.
type lookout struct {
	secrets map[string]string

	mu    sync.Mutex
	looks int
	seen  []string
}

func newLookout(secrets map[string]string) *lookout { return &lookout{secrets: secrets} }

func (l *lookout) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks++
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		// A process may end while we look.
		words, _ := os.ReadFile(file)
		for name, secret := range l.secrets {
			if strings.Contains(string(words), secret) {
				l.seen = append(l.seen, name+" in "+strings.ReplaceAll(string(words), "\x00", " "))
			}
		}
	}
}

func (l *lookout) found() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}

func (l *lookout) rounds() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.looks
}
