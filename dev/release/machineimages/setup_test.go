package machineimages

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/open-executor/executor/dev/release/machineimages/cloudtest"
	"github.com/open-executor/executor/dev/release/scripttest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// today is when all tests run, 2026-01-02T03:04:05Z.
const today = 1767323045

const (
	accessKey = "ACCESSKEYOFAMAZON"
	secretKey = "SECRET/KEY+OF/AMAZON"
	number    = "54321"
)

// image is a kind of machine image.
type image struct{ folder, buildStep, pushStep string }

var images = []image{
	{"vm-image", "build-executor-image", "publish-executor-image"},
	{"docker-mirror", "build-docker-mirror", "publish-docker-mirror"},
}

// runTypes are pipelines of dev/ci, by the names of their golden files there.
var runTypes = []string{"main_everything", "tagged_release", "internal_release"}

// stepEnvironment is what CI gives a step.
func stepEnvironment(t *testing.T, runType, key string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(ours(t, "dev/ci/plan/testdata/"+runType+".yaml"))
	require.NoError(t, err)
	var pipeline struct {
		Steps []struct {
			Key string
			Env map[string]string
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &pipeline))
	for _, step := range pipeline.Steps {
		if step.Key == key {
			require.NotEmpty(t, step.Env["IMAGE_FAMILY"])
			return step.Env
		}
	}
	require.Fail(t, "no such step", "%s in %s", key, runType)
	return nil
}

// workspace is a clean clone with one commit in shared; nothing writes to it.
var workspace = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(shared, "workspace")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	for _, words := range [][]string{{"init", "--quiet", "--initial-branch=main"}, {"commit", "--quiet", "--allow-empty", "--message=x"}} {
		git := exec.Command("git", words...)
		git.Dir, git.Env = dir, scripttest.Environment(nil)
		if out, err := git.CombinedOutput(); err != nil {
			return "", fmt.Errorf("git %v: %w: %s", words, err, out)
		}
	}
	return dir, nil
})

// script is a call of one of the scripts, with a cloud of its own.
type script struct {
	path, dir   string
	arguments   []string
	environment map[string]string
	// state is the cloud's directory, place where is noted what was published, bin has the stand-ins, and temporary files go to scratch.
	state, place, bin, scratch string
}

// newScript is a call as CI does it, of the script with the last part of a name, such as "push".
func newScript(t *testing.T, kind image, verb, runType string) script {
	t.Helper()
	step := map[string]string{"push": kind.pushStep, "build": kind.buildStep}[verb]
	s := script{path: ours(t, kind.folder+"/_ami."+verb+".sh"), dir: t.TempDir(), state: t.TempDir(), bin: t.TempDir(), scratch: t.TempDir()}
	s.place = filepath.Join(t.TempDir(), "place")
	self, err := os.Executable()
	require.NoError(t, err)
	for _, name := range cloudtest.Programs {
		require.NoError(t, os.Symlink(self, filepath.Join(s.bin, name)))
	}
	date, err := exec.LookPath("date")
	require.NoError(t, err)
	write(t, filepath.Join(s.bin, "date"), fmt.Sprintf("#!/bin/sh\nif test \"$*\" = '-u +%%s'; then echo %d; else exec %s \"$@\"; fi\n", today, date), 0o755)
	clone, err := workspace()
	require.NoError(t, err)
	s.environment = map[string]string{
		"PATH": s.bin + ":" + os.Getenv("PATH"), "TMPDIR": s.scratch, cloudtest.StateVariable: s.state, "BUILD_WORKSPACE_DIRECTORY": clone,
		"BUILDKITE_BUILD_NUMBER": number, "AWS_EXECUTOR_AMI_ACCESS_KEY": accessKey, "AWS_EXECUTOR_AMI_SECRET_KEY": secretKey,
		"EXECUTOR_ARTIFACTS_URL": "file://" + s.place, "EXECUTOR_CLOUD_PAUSE": "0", "EXECUTOR_CLOUD_TIMEOUT": "20", "EXECUTOR_CLOUD_TRIES": "3",
	}
	maps.Copy(s.environment, stepEnvironment(t, runType, step))
	return s
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), mode))
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// with returns the script with variables set, or unset where the value is "-".
func (s script) with(pairs ...string) script {
	s.environment = maps.Clone(s.environment)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "-" {
			delete(s.environment, pairs[i])
		} else {
			s.environment[pairs[i]] = pairs[i+1]
		}
	}
	return s
}

// run runs it. Whatever it says, no secret is in it, nor in any call, and nothing of it stays.
func (s script) run(t *testing.T, flags ...string) scripttest.Result {
	t.Helper()
	command := exec.Command(s.path, append(slices.Clone(s.arguments), flags...)...)
	command.Dir = s.dir
	got := scripttest.Run(t, command, s.environment)
	for _, said := range []string{got.Stdout, got.Stderr, s.calls(t)} {
		for _, secret := range []string{accessKey, secretKey, "PRIVATE-KEY"} {
			require.NotContains(t, said, secret)
		}
	}
	left, err := os.ReadDir(s.scratch)
	require.NoError(t, err)
	require.Empty(t, left)
	return got
}

func (s script) succeed(t *testing.T, flags ...string) scripttest.Result {
	t.Helper()
	got := s.run(t, flags...)
	require.Zero(t, got.Code, "%s%s", got.Stdout, got.Stderr)
	return got
}

// calls are those of the stand-ins until now, one a line.
func (s script) calls(t *testing.T) string {
	t.Helper()
	path := filepath.Join(s.state, cloudtest.Calls)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return read(t, path)
}

func (s script) forgetCalls(t *testing.T) {
	t.Helper()
	require.NoError(t, os.RemoveAll(filepath.Join(s.state, cloudtest.Calls)))
}

func (s script) cloud(t *testing.T) *cloudtest.Cloud {
	t.Helper()
	cloud, err := cloudtest.Load(s.state)
	require.NoError(t, err)
	return cloud
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		write(t, path, got, 0o644)
	}
	require.Equal(t, read(t, path), got)
}

func lines(text string) []string { return strings.Split(strings.TrimSuffix(text, "\n"), "\n") }
