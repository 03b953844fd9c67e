//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// repository makes a repository with two commits, of which the first has the tag v1, and returns its directory and last commit.
func repository(t *testing.T) (dir, commit string) {
	t.Helper()
	dir = t.TempDir()
	harness.Git(t, "init", "--quiet", "--initial-branch=main", dir)
	for _, path := range []string{"docs/guide.txt", "src/main.txt"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, path), []byte(path+"\n"), 0o644))
		harness.Git(t, "-C", dir, "add", "--all")
		harness.Git(t, "-C", dir, "commit", "--quiet", "--message", path)
	}
	harness.Git(t, "-C", dir, "tag", "v1", "HEAD~")
	return dir, harness.Git(t, "-C", dir, "rev-parse", "HEAD")
}

// Every way to clone, with the commands of spec section 4.2.1; the frontend is mounted below a path, and sees the headers that it wants.
func TestReferenceFrontendServesClones(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	dir, commit := repository(t)
	frontend.ServeGit("host.example/my/repo", dir)
	relay := harness.NewRelay(t, frontend.URL(), "/sub/path", nil)
	relay.Open()
	executor := startAt(t, relay.URL)
	seen := newTranscript(executor, commit, "<commit>")

	var log strings.Builder
	for _, variant := range []struct {
		name string
		job  api.Job
		// of the clone: commits, tags and files
		want string
	}{
		{"plain", api.Job{}, "2 commits docs src"},
		{"into a directory", api.Job{RepositoryDirectory: "deep/repository"}, "2 commits docs src"},
		{"shallow", api.Job{ShallowClone: true}, "1 commits docs src"},
		{"with tags", api.Job{FetchTags: true}, "2 commits v1 docs src"},
		{"shallow with tags", api.Job{ShallowClone: true, FetchTags: true}, "1 commits v1 docs src"},
		{"sparse", api.Job{SparseCheckout: []string{"docs/*"}}, "2 commits docs"},
		{"shallow and sparse", api.Job{ShallowClone: true, SparseCheckout: []string{"src/*", "/*.md"}}, "1 commits src"},
	} {
		job := variant.job
		job.RepositoryName, job.Commit = "host.example/my/repo", commit
		job.DockerSteps = []api.DockerStep{{Key: "look", Image: "none", Dir: job.RepositoryDirectory, Commands: []string{
			"echo $(git rev-list --count HEAD) commits $(git tag) $(ls)",
			"git rev-parse HEAD && git remote get-url origin && git config gc.auto",
		}}}
		id := frontend.Enqueue(job)
		require.Equal(t, complete, result(t, frontend, id), variant.name)

		entries := frontend.Entries(id)
		out := stdout(entries[len(entries)-2])
		require.Equal(t, []string{variant.want, commit, "host.example/my/repo", "0"}, out, variant.name)
		log.WriteString("# " + variant.name + "\n" + seen.log(t, entries[:len(entries)-2]) + "\n")
	}
	requireGolden(t, "testdata/reference_frontend_clone_log.txt", log.String())
	requireGolden(t, "testdata/reference_frontend_clone_requests.txt", seen.requests(t, frontend.Requests(), func(r frontendtest.Request) bool {
		return strings.HasPrefix(r.Path, "/.executors/git/") && r.Header.Get("X-Sourcegraph-Job-Id") == "1"
	}))
}

// stdout are an entry's lines of standard output.
func stdout(entry api.ExecutionLogEntry) []string {
	var lines []string
	for line := range strings.Lines(entry.Out) {
		if text, ok := strings.CutPrefix(line, "stdout: "); ok {
			lines = append(lines, strings.TrimSuffix(text, "\n"))
		}
	}
	return lines
}

// What can't be cloned is told where it fails.
func TestReferenceFrontendWithoutTheRepository(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	startAt(t, frontend.URL())
	job := step("true")
	job.RepositoryName, job.Commit = "no/such", "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"
	id := frontend.Enqueue(job)
	report := result(t, frontend, id)
	require.Equal(t, api.Errored, report.Result)
	require.Regexp(t, `^creating workspace: failed setup\.git\.fetch: command failed with exit code \d+$`, report.Message)
	entries := frontend.Entries(id)
	last := entries[len(entries)-1]
	require.Equal(t, "setup.git.fetch", last.Key)
	require.NotZero(t, *last.ExitCode)

	outside := step("true")
	outside.RepositoryName, outside.Commit, outside.RepositoryDirectory = "no/such", "main", "../elsewhere"
	report = result(t, frontend, frontend.Enqueue(outside))
	require.Equal(t, api.Failed, report.Result, "another try would change nothing")
	require.Equal(t, `creating workspace: repository directory "../elsewhere" is not a sub-directory of the workspace`, report.Message)
}
