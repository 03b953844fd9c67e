//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// Files of both job versions: written out, fetched from a bucket, empty, with and without a time.
func TestReferenceFrontendGivesFiles(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	binary := string([]byte{0, 0xff, '\n', 0xfe})
	frontend.ServeFile("batch-changes", "spec/file", []byte(binary))
	executor := startAt(t, frontend.URL())
	seen := newTranscript(executor)
	modified := time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)
	for version, content := range map[int]string{api.JobV1: "plain text\n", api.JobV2: binary} {
		id := frontend.Enqueue(api.Job{
			ID: int64(version), Version: version,
			Files: map[string]api.File{
				"input.json":              {Content: []byte(content), ModifiedAt: modified},
				"workspace-files/run.bin": {Content: []byte("overridden"), Bucket: "batch-changes", Key: "spec/file"},
				"empty":                   {},
			},
			DockerSteps: []api.DockerStep{{Image: "none", Commands: []string{
				"od -An -c input.json", "od -An -c workspace-files/run.bin", "stat -c %s empty", "stat -c %Y input.json", "[ -x workspace-files/run.bin ]",
			}}},
		})
		require.Equal(t, complete, result(t, frontend, id))
		entries := frontend.Entries(id)
		require.Equal(t, "step.docker.0", entries[1].Key)
		shown := map[int]string{api.JobV1: `p l a i n t e x t \n`, api.JobV2: `\0 377 \n 376`}
		out := stdout(entries[1])
		require.Equal(t, []string{shown[version], `\0 377 \n 376`}, []string{squeezed(out[0]), squeezed(out[1])})
		require.Equal(t, []string{"0", "1706933106"}, out[2:])
	}
	requireGolden(t, "testdata/reference_frontend_files.txt", seen.log(t, frontend.Entries(2)[:1])+"\n"+
		seen.requests(t, frontend.Requests(), func(r frontendtest.Request) bool { return strings.Contains(r.Path, "/files/") }))
}

func squeezed(text string) string { return strings.Join(strings.Fields(text), " ") }

// What a frontend can't give, or what is written to elsewhere, fails the job with the place.
func TestReferenceFrontendGivesBadFiles(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	startAt(t, frontend.URL())
	for path, want := range map[string]api.Report{
		"missing": {Result: api.Failed, Message: `creating workspace: writing file "missing": fetching it from the frontend (bucket "none", key "at/all"): file none/at/all: unexpected status code 404: workspace file does not exist`},
		"../../x": {Result: api.Failed, Message: `creating workspace: refusing to write outside of working directory: file path "../../x"`},
	} {
		job := step("true")
		job.Files = map[string]api.File{path: {Bucket: "none", Key: "at/all"}}
		id := frontend.Enqueue(job)
		require.Equal(t, want, result(t, frontend, id))
		entries := frontend.Entries(id)
		require.Equal(t, "setup.fs.extras", entries[0].Key)
		require.Equal(t, 1, *entries[0].ExitCode)
	}
}

// A step that ends in ".pre" jumps to the step that its skip.json names (spec section 4.4).
func TestReferenceFrontendSkipsSteps(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	startAt(t, frontend.URL())
	steps := func(skip string) api.Job {
		var job api.Job
		for _, key := range []string{"step.0.pre", "step.0.run", "step.0.post", "step.1.pre", "step.1.run"} {
			commands := []string{"echo " + key}
			if key == "step.0.pre" && skip != "" {
				commands = append(commands, "printf '%s' '"+skip+"' > skip.json")
			}
			if key == "step.1.run" {
				commands = append(commands, "ls skip.json || true")
			}
			job.DockerSteps = append(job.DockerSteps, api.DockerStep{Key: key, Image: "none", Commands: commands})
		}
		return job
	}
	for skip, ran := range map[string]string{
		"":                            "step.0.pre step.0.run step.0.post step.1.pre step.1.run",
		`{}`:                          "step.0.pre step.0.run step.0.post step.1.pre step.1.run",
		`{"nextStep":"step.1.pre"}`:   "step.0.pre step.1.pre step.1.run",
		`{"nextStep":"step.1.run"}`:   "step.0.pre step.1.run",
		`{"nextStep":"step.nowhere"}`: "step.0.pre",
	} {
		id := frontend.Enqueue(steps(skip))
		require.Equal(t, complete, result(t, frontend, id), skip)
		require.Equal(t, ran, stepOutput(frontend.Entries(id)), skip)
	}
	report := result(t, frontend, frontend.Enqueue(steps("next, please")))
	require.NotEqual(t, api.Complete, report.Result)
	require.True(t, strings.HasPrefix(report.Message, "checking for skip file: "), report.Message)
}

// stepOutput is what all steps print to standard output.
func stepOutput(entries []api.ExecutionLogEntry) string {
	var out []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Key, "step.") {
			out = append(out, stdout(entry)...)
		}
	}
	return strings.Join(out, " ")
}

// Steps of src run after those in containers, on the host, with keys and error texts of their own.
func TestReferenceFrontendGivesSrcSteps(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	executor := startAt(t, frontend.URL(), tools(t, "src", fakeSrc))
	job := api.Job{
		Files:       map[string]api.File{"sub/file": {}},
		DockerSteps: []api.DockerStep{{Image: "none", Dir: "sub", Env: []string{"A=b"}, Commands: []string{"echo $A", "ls"}}},
		CliSteps: []api.CliStep{
			{Commands: []string{"batch", "exec", "-f", "input.json"}, Dir: "sub", Env: []string{"GREETING=hello", "EXIT=0"}},
			{Key: "upload", Commands: []string{"lsif", "upload"}, Dir: ".", Env: []string{"EXIT=4"}},
			{Key: "never", Commands: []string{"version"}},
		},
	}
	id := frontend.Enqueue(job)
	require.Equal(t, api.Report{Result: api.Errored, Message: "failed to perform src-cli step: command failed with exit code 4"}, result(t, frontend, id))
	requireGolden(t, "testdata/reference_frontend_src_log.txt", newTranscript(executor).log(t, frontend.Entries(id)))

	job.DockerSteps[0].Commands = []string{"exit 7"}
	report := result(t, frontend, frontend.Enqueue(job))
	require.Equal(t, api.Report{Result: api.Errored, Message: "failed to perform docker step: command failed with exit code 7"}, report)
}
