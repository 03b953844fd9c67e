//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
)

// referenceExecutor speaks to a frontend as the reference's executor does (spec sections 3 and 4.2.1), with nothing of our own
// client in it, and keeps a transcript.
type referenceExecutor struct {
	t       testing.TB
	url     string
	name    string
	version string
	// transcript has every exchange since the beginning; tokens, commits, ports and times are replaced.
	transcript strings.Builder
}

// referenceJob is what the reference reads of a job, decoded loosely.
type referenceJob struct {
	Version        int
	ID             int
	Token, Queue   string
	RepositoryName string
	Commit         string
	Files          map[string]struct{ Content string }
	DockerSteps    []struct{ Key, Image string }
	raw            string
}

// answer is what came back of a request.
type answer struct {
	status int
	body   string
}

const queuePath = "/.executors/queue/"

func newReferenceExecutor(t testing.TB, frontend *harness.Frontend, name string) *referenceExecutor {
	return &referenceExecutor{t: t, url: frontend.URL, name: name, version: "5.3.0"}
}

// instance makes a call with the shared token.
func (e *referenceExecutor) instance(method, path, body string) answer {
	return e.send(method, path, body, http.Header{"Authorization": {"token-executor " + harness.ExecutorToken}})
}

// job makes a call with a job's token.
func (e *referenceExecutor) job(job referenceJob, method, path, body string) answer {
	return e.send(method, path, body, e.jobHeader(job))
}

func (e *referenceExecutor) jobHeader(job referenceJob) http.Header {
	return http.Header{
		"Authorization":               {"Bearer " + job.Token},
		"X-Sourcegraph-Job-Id":        {fmt.Sprint(job.ID)},
		"X-Sourcegraph-Executor-Name": {e.name},
	}
}

func (e *referenceExecutor) send(method, path, body string, header http.Header) answer {
	e.t.Helper()
	request, err := http.NewRequestWithContext(harness.Context(e.t), method, e.url+path, strings.NewReader(body))
	require.NoError(e.t, err)
	request.Header = header.Clone()
	// The reference says so of every request, those without a body included.
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	require.NoError(e.t, err)
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	require.NoError(e.t, err)
	for _, line := range []string{
		method + " " + path, "> " + body, fmt.Sprintf("< %d %s", response.StatusCode, response.Header.Get("Content-Type")), "< " + string(raw),
	} {
		e.transcript.WriteString(strings.TrimSpace(line) + "\n")
	}
	return answer{response.StatusCode, string(raw)}
}

// dequeue asks for a job of one queue, or of several when none is named in the path; it needs an answer.
func (e *referenceExecutor) dequeue(queue string, several ...string) referenceJob {
	e.t.Helper()
	path, queues := queuePath+queue+"/dequeue", ""
	if queue == "" {
		path, queues = queuePath+"dequeue", `,"queues":`+inJSON(several)
	}
	got := e.instance("POST", path, fmt.Sprintf(`{"executorName":%q,"version":%q%s,"numCPUs":4,"memory":"12G","diskSpace":"20G"}`, e.name, e.version, queues))
	require.Equal(e.t, http.StatusOK, got.status, got.body)
	job := referenceJob{raw: got.body}
	require.NoError(e.t, json.Unmarshal([]byte(got.body), &job))
	require.Regexp(e.t, `^[0-9a-f]{40}$`, job.Token)
	return job
}

// heartbeat sends the single-queue form, in which ids are numbers, and null when there are none.
func (e *referenceExecutor) heartbeat(queue string, ids ...int) answer {
	e.t.Helper()
	return e.instance("POST", queuePath+queue+"/heartbeat", fmt.Sprintf(`{"version":"V2","executorName":%q,"jobIds":%s,"os":"linux","architecture":"amd64",`+
		`"dockerVersion":"20.10.24","executorVersion":%q,"gitVersion":"2.39.5","igniteVersion":"","srcCliVersion":"5.3.0","prometheusMetrics":"up 1\n"}`,
		e.name, inJSON(ids), e.version))
}

// operation calls one of the endpoints of a job; more is what the body has besides job and executor.
func (e *referenceExecutor) operation(job referenceJob, queue, operation, more string) answer {
	e.t.Helper()
	return e.job(job, "POST", queuePath+queue+"/"+operation, fmt.Sprintf(`{"executorName":%q,"jobId":%d%s}`, e.name, job.ID, more))
}

// clone runs the reference's git commands through a proxy of its own that alone knows the job's token.
func (e *referenceExecutor) clone(job referenceJob) (directory string) {
	e.t.Helper()
	frontend, err := url.Parse(e.url + "/.executors/git")
	require.NoError(e.t, err)
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(frontend)
		for name, values := range e.jobHeader(job) {
			r.Out.Header[name] = values
		}
		r.Out.Header.Set("X-Sourcegraph-Actor-UID", "internal")
	}})
	defer proxy.Close()
	directory = filepath.Join(e.t.TempDir(), "repository")
	for _, args := range [][]string{
		{"-C", e.t.TempDir(), "init", directory},
		{"-C", directory, "remote", "add", "origin", proxy.URL + "/" + job.RepositoryName},
		{"-C", directory, "config", "--local", "gc.auto", "0"},
		{"-C", directory, "-c", "protocol.version=2", "fetch", "--progress", "--no-recurse-submodules", "--no-tags", "--depth=1", "origin", job.Commit},
		{"-C", directory, "checkout", "--progress", "--force", job.Commit},
		{"-C", directory, "remote", "set-url", "origin", job.RepositoryName},
	} {
		harness.Git(e.t, args...)
	}
	return directory
}

// golden is the transcript without what differs from run to run.
func (e *referenceExecutor) golden(replaced ...string) string {
	text := strings.NewReplacer(replaced...).Replace(e.transcript.String())
	return regexp.MustCompile(`"token":"[0-9a-f]{40}"`).ReplaceAllString(text, `"token":"TOKEN"`)
}

func inJSON(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(raw)
}
