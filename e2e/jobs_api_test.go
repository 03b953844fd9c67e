//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
)

// somewhereToRun starts a frontend and an executor that runs steps on this host.
func somewhereToRun(t testing.TB) (*harness.Frontend, plainClient) {
	t.Helper()
	frontend := harness.StartFrontend(t)
	harness.StartExecutor(t, frontend.URL, t.TempDir(), "shell")
	return frontend, plainClient{t, frontend.URL, frontend.Token}
}

// A user with nothing but an HTTP client submits a job in either language, follows it, downloads its log and runs it again.
func TestJobsByPlainHTTP(t *testing.T) {
	t.Parallel()
	_, client := somewhereToRun(t)
	const asYAML = `
files: {in.txt: "über\r\n\tlines\n\n"}
steps:
  - {key: show, image: none, run: [set +x, cat in.txt, "printf 'no newline at the end'"]}
secrets: {TOKEN: {value: correct-horse-battery}}
`
	const asJSON = `{"files": {"in.txt": "über\r\n\tlines\n\n"}, "secrets": {"TOKEN": {"value": "correct-horse-battery"}},
		"steps": [{"key": "show", "image": "none", "run": ["set +x", "cat in.txt", "printf 'no newline at the end'"]}]}`
	const printed = "stdout: über\r\nstdout: \tlines\nstdout: \nstdout: no newline at the end\n"
	// The shell's trace may come before, between and behind it: it is the other stream.
	const trace = "stderr: + set +x\n"
	for contentType, file := range map[string]string{"application/yaml": asYAML, "application/json": asJSON} {
		got := client.send("POST", "/jobs", contentType, file)
		require.Equal(t, http.StatusCreated, got.status, got.body)
		job := decoded[jobs.Job](t, got.body)
		path := fmt.Sprintf("/jobs/%d", job.ID)
		require.Equal(t, "/api/v1"+path, got.header.Get("Location"))
		require.Equal(t, "default", job.Queue)
		require.NotContains(t, got.body, "correct-horse")

		stream := client.follow(path+"/logs", "")
		require.Equal(t, jobs.StateEvent{State: jobs.Completed}, stream.untilEnd())
		log := client.send("GET", path+"/logs", "", "")
		require.Equal(t, "text/plain; charset=utf-8", log.header.Get("Content-Type"))
		require.Equal(t, stream.output, log.body, "the download is what was streamed, byte by byte")
		require.Contains(t, strings.ReplaceAll(log.body, trace, ""), printed)

		// The end of the log from any place on, at once.
		for _, from := range []int{0, 1, len(log.body) / 2, len(log.body) - 1, len(log.body)} {
			replay := client.follow(path+"/logs", fmt.Sprintf("1:%d", from))
			require.Equal(t, jobs.Completed, replay.untilEnd().State)
			require.Equal(t, log.body[from:], replay.output, "bytes, not characters, from %d on", from)
			require.Equal(t, log.body[from:], client.send("GET", fmt.Sprintf("%s/logs?offset=%d", path, from), "", "").body)
		}
	}

	listed := decoded[jobs.JobList](t, client.send("GET", "/jobs?queue=default&state=completed&limit=1", "", "").body)
	require.Len(t, listed.Jobs, 1)
	require.NotEmpty(t, listed.Next)
	first := decoded[jobs.JobList](t, client.send("GET", "/jobs?limit=1&cursor="+listed.Next, "", "").body).Jobs[0]
	got := client.send("POST", fmt.Sprintf("/jobs/%d/retry", first.ID), "", "")
	require.Equal(t, http.StatusCreated, got.status, got.body)
	again := decoded[jobs.Job](t, got.body)
	require.Equal(t, first.ID, again.RetryOf)
	require.Equal(t, jobs.Completed, client.follow(fmt.Sprintf("/jobs/%d/logs", again.ID), "").untilEnd().State)
	require.Contains(t, strings.ReplaceAll(client.send("GET", fmt.Sprintf("/jobs/%d/logs", again.ID), "", "").body, trace, ""), printed)

	executors := client.send("GET", "/executors", "", "")
	require.Contains(t, executors.body, `"active":true`)
	queues := client.send("GET", "/queues", "", "")
	require.Contains(t, queues.body, `{"name":"default","queued":0,"processing":0,"executors":1}`)
}

// What is wrong is said in one form, with the place; nothing of it is stored.
func TestJobsAPIRefusesPlainly(t *testing.T) {
	t.Parallel()
	frontend := harness.StartFrontend(t)
	client := plainClient{t, frontend.URL, frontend.Token}
	for _, token := range []string{"", "wrong", harness.ExecutorToken, frontend.Token[:10]} {
		stranger := plainClient{t, frontend.URL, token}
		stranger.refused("GET", "/jobs", "", "", 401, "unauthorized")
		stranger.refused("POST", "/jobs", "application/yaml", "steps: [{image: a, run: b}]", 401, "unauthorized")
		stranger.refused("GET", "/jobs/1/logs", "", "", 401, "unauthorized")
		stranger.refused("GET", "/nowhere", "", "", 401, "unauthorized")
	}
	client.refused("GET", "/jobs/1", "", "", 404, "not_found")
	client.refused("GET", "/nowhere", "", "", 404, "not_found")
	client.refused("DELETE", "/jobs/1", "", "", 405, "method_not_allowed")
	client.refused("POST", "/jobs", "text/plain", "steps: []", 415, "unsupported_media_type")
	wrong := client.refused("POST", "/jobs", "application/yaml", "steps:\n  - {imagee: a, run: b}\n", 422, "invalid_job")
	require.Equal(t, "steps[0].imagee", wrong.Field)
	require.Contains(t, wrong.Message, "2:6")
	wrong = client.refused("POST", "/jobs", "application/json", `{"steps": [}`, 400, "malformed")
	require.Contains(t, wrong.Message, "1:12")
	wrong = client.refused("POST", "/jobs", "application/yaml", "{repository: {name: no/such, commit: main}, steps: [{image: a, run: b}]}", 422, "unresolved")
	require.Equal(t, "repository", wrong.Field)
	wrong = client.refused("GET", "/jobs?state=lost", "", "", 400, "invalid_argument")
	require.Equal(t, "state", wrong.Field)

	created := decoded[jobs.Job](t, client.send("POST", "/jobs", "application/yaml", "steps: [{image: a, run: b}]").body)
	require.EqualValues(t, 1, created.ID, "nothing of the above was stored")
	client.refused("POST", "/jobs/1/retry", "", "", 409, "not_over")
	require.Contains(t, client.send("POST", "/jobs/1/cancel", "", "").body, `"state":"canceled"`)
	client.refused("POST", "/jobs/1/cancel", "", "", 409, "already_over")
	client.refused("GET", "/jobs/1/logs?attempt=2", "", "", 404, "not_found")
}

// Behind a proxy that buffers answers, lines still arrive while the job runs.
func TestLogsArriveLiveThroughABufferingProxy(t *testing.T) {
	t.Parallel()
	frontend, _ := somewhereToRun(t)
	gate := newGate(t)
	submitted := frontend.Submit(t, fmt.Sprintf("steps: [{image: none, run: %q}]", "echo first; "+gate.wait+"; echo second"))
	client := plainClient{t, bufferingProxy(t, frontend.URL), frontend.Token}
	stream := client.follow(fmt.Sprintf("/jobs/%d/logs", submitted.ID), "")
	// The gate opens only for somebody who has read the first line.
	stream.untilOutput("stdout: first\n")
	gate.open(t)
	require.Equal(t, jobs.Completed, stream.untilEnd().State)
	require.Contains(t, stream.output, "stdout: second\n")
}

// Over a network that breaks off again and again, a follower gets every byte once and in order.
func TestLogsSurviveABreakingNetwork(t *testing.T) {
	t.Parallel()
	frontend, client := somewhereToRun(t)
	const times = 6
	proxy, cuts := cuttingProxy(t, frontend.URL, times)
	gate := newGate(t)
	// Lines come until the gate opens, which it does after the last break.
	submitted := frontend.Submit(t, fmt.Sprintf("steps: [{key: count, image: none, run: %q}]",
		"set +x; until [ -e "+gate.file+" ]; do echo line $((n=n+1)); sleep 0.1; done; echo last"))
	follower := startExecctl(t, proxy, frontend.Token, "--output", "json", "logs", "--follow", fmt.Sprint(submitted.ID))
	harness.Eventually(t, harness.Patience, "the proxy breaks off", func() bool { return cuts.Load() == times })
	gate.open(t)
	require.Zero(t, follower.Wait(harness.Patience))
	output, ends := "", 0
	for line := range strings.Lines(follower.Output()) {
		event := decoded[struct {
			Event string         `json:"event"`
			Data  map[string]any `json:"data"`
		}](t, line)
		switch event.Event {
		case jobs.EventOutput:
			require.EqualValues(t, len(output), event.Data["offset"])
			output += event.Data["text"].(string)
		case jobs.EventEnd:
			ends++
		}
	}
	require.Equal(t, client.send("GET", fmt.Sprintf("/jobs/%d/logs", submitted.ID), "", "").body, output)
	require.Contains(t, output, "stdout: line 5\n")
	require.True(t, strings.HasSuffix(output, "stdout: last\n"), output)
	require.Equal(t, 1, ends)
}

// A frontend that is told to stop ends open streams instead of cutting them. Those who follow with execctl see the job's end when
// the next frontend has started, without a line lost or repeated.
func TestFollowersComeBackAfterTheFrontendRestarts(t *testing.T) {
	t.Parallel()
	frontend, client := somewhereToRun(t)
	gate := newGate(t)
	submitted := frontend.Submit(t, fmt.Sprintf("steps: [{image: none, run: %q}]", "set +x; echo first; "+gate.wait+"; echo second"))
	stream := client.follow(fmt.Sprintf("/jobs/%d/logs", submitted.ID), "")
	stream.untilOutput("stdout: first\n")
	follower := startExecctl(t, frontend.URL, frontend.Token, "logs", "--follow", fmt.Sprint(submitted.ID))
	follower.AwaitOutput("first")

	frontend.Signal(syscall.SIGTERM)
	for {
		name, _, ok := stream.next()
		if !ok {
			break
		}
		require.NotEqual(t, jobs.EventEnd, name, "the job is not over")
	}
	require.Equal(t, []string{"the frontend stops"}, stream.comments)
	require.Zero(t, frontend.Wait(harness.Patience))
	require.True(t, follower.Running())
	frontend.Restart(t)
	gate.open(t)
	require.Zero(t, follower.Wait(harness.Patience))
	require.Equal(t, 1, strings.Count(follower.Output(), "\nfirst\n"), follower.Output())
	require.Equal(t, 1, strings.Count(follower.Output(), "\nsecond\n"), follower.Output())
	require.Contains(t, follower.Output(), "job completed")
}
