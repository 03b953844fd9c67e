//go:build e2e && docker

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// Steps run in containers, with the arguments of spec section 5.1 in their order; what makes them safe stands behind --rm.
func TestReferenceFrontendGivesContainerSteps(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	image := harness.Image(t)
	start := func(env ...string) *harness.Executor {
		return harness.StartExecutor(t, frontend.URL(), t.TempDir(), "docker", referenceEnv(append(env, "EXECUTOR_NUM_TOTAL_JOBS=1")...)...)
	}
	job := api.Job{
		Version:    api.JobV2,
		Files:      map[string]api.File{"sub/input.txt": {Content: []byte("from the job\n")}},
		DockerAuth: api.DockerAuthConfig{Auths: map[string]api.DockerAuth{"registry.example.com": {Auth: []byte("user:hunter2-hunter2")}}},
		DockerSteps: []api.DockerStep{
			{Key: "first", Image: image, Dir: "sub", Env: []string{"A=b", "LINES=one\ntwo"}, Commands: []string{"pwd", "cat input.txt", "echo out >/data/made.txt", "{ set +x; } 2>/dev/null", `echo "$A $LINES"`}},
			{Image: image, Commands: []string{"pwd", "cat made.txt", "exit 5"}},
			{Key: "never", Image: image},
		},
	}
	limited := frontend.Enqueue(job)
	executor := start("EXECUTOR_JOB_NUM_CPUS=1", "EXECUTOR_JOB_MEMORY=64M", "EXECUTOR_DOCKER_ADD_HOST_GATEWAY=true", "EXECUTOR_DOCKER_ADDITIONAL_MOUNTS=type=tmpfs,target=/scratch")
	want := api.Report{Result: api.Errored, Message: `running command "step.docker.1": command failed with exit code 5`}
	require.Equal(t, want, result(t, frontend, limited))
	text := containerLog(t, executor, image, frontend.Entries(limited))

	job.DockerAuth, job.DockerSteps = api.DockerAuthConfig{}, job.DockerSteps[:1]
	unlimited := frontend.Enqueue(job)
	executor = start("EXECUTOR_JOB_NUM_CPUS=0", "EXECUTOR_JOB_MEMORY=0", "EXECUTOR_MAXIMUM_RUNTIME_PER_JOB=0")
	require.Equal(t, complete, result(t, frontend, unlimited))
	requireGolden(t, "testdata/reference_frontend_docker_log.txt", text+"\n"+containerLog(t, executor, image, frontend.Entries(unlimited)))
}

func containerLog(t *testing.T, executor *harness.Executor, image string, entries []api.ExecutionLogEntry) string {
	t.Helper()
	require.Zero(t, executor.Wait(harness.Patience))
	require.Empty(t, harness.Residue(t, executor.TempDir))
	require.Empty(t, harness.Containers(t, "open-executor.executor="+executor.Name))
	text := newTranscript(executor, image, "<image>").log(t, entries)
	for pattern, placeholder := range map[string]string{
		`open-executor-(\d+)-0-[a-z0-9]{26}`:                    "open-executor-$1-0-<random>",
		`(open-executor\.session=<executor>/batches/\d+/0/)\S+`: "$1<random>",
		`open-executor\.deadline=\S+`:                           "open-executor.deadline=<time>",
		`executor-docker-runner[A-Z0-9]+/docker_auth[A-Z0-9]+`:  "executor-docker-runner<random>/docker_auth<random>",
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, placeholder)
	}
	return text
}

// The host of an executor in a container names the workspaces otherwise.
func TestReferenceFrontendStepsSeeTheDockerHostsPath(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	tempDir := t.TempDir()
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	require.NoError(t, os.Symlink(tempDir, elsewhere))
	harness.StartExecutor(t, frontend.URL(), tempDir, "docker", referenceEnv("EXECUTOR_DOCKER_HOST_MOUNT_PATH="+elsewhere)...)
	job := step("ls /data/here")
	job.DockerSteps[0].Image = harness.Image(t)
	job.Files = map[string]api.File{"here": {}}
	id := frontend.Enqueue(job)
	require.Equal(t, complete, result(t, frontend, id))
	require.Regexp(t, `-v `+regexp.QuoteMeta(elsewhere)+`/workspace-1-[0-9A-Z]+:/data `, strings.Join(frontend.Entries(id)[1].Command, " "))
}

func TestReferenceFrontendSecretsStaySecretInContainers(t *testing.T) {
	t.Parallel()
	testSecrets(t, "docker", harness.Image(t))
}
