package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime"
)

// shortLimits make tests with a hanging engine short.
var shortLimits = limits{query: time.Second / 5, signal: time.Second / 5, remove: time.Second / 5, clear: time.Second}

func fakeStep() runtime.Step {
	return runtime.Step{Key: "step.docker.0", Image: "image:1", Script: "s.sh", Dir: "."}
}

func TestEnvironmentReachesTheClientUnseen(t *testing.T) {
	docker := newFakeDocker(t)
	f := newFixture(t, nil)
	session, _, log := f.open(t, 1)
	step := fakeStep()
	step.Env = []string{"A=secret one", "KEY=secret\ntwo", "EMPTY="}
	require.NoError(t, session.Run(t.Context(), step))
	words := docker.get(t, "run.1/words")
	require.NotContains(t, words, "secret")
	require.Contains(t, words, "\n-e\nKEY\n")
	require.Contains(t, docker.get(t, "run.1/environ"), "KEY=secret\ntwo\x00")
	require.Equal(t, "600\nA=secret one\nEMPTY=\n", docker.get(t, "run.1/env-file"))
	command := strings.Join(log.Entry(t, step.Key).Command, " ")
	require.Contains(t, command, "-w /data -e A -e KEY -e EMPTY --entrypoint /bin/sh image:1 /data/.sourcegraph-executor/s.sh")
	require.NotContains(t, command, "--env-file")

	dirs, err := filepath.Glob(filepath.Join(f.dir, "executor-docker-runner*"))
	require.NoError(t, err)
	require.Len(t, dirs, 1)
	info, err := os.Stat(dirs[0])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	require.NoError(t, session.Close(t.Context()))
	require.NoDirExists(t, dirs[0])
}

func TestRegistryCredentials(t *testing.T) {
	docker := newFakeDocker(t)
	f := newFixture(t, nil)
	auth := api.DockerAuthConfig{Auths: map[string]api.DockerAuth{"registry.example": {Auth: []byte("user:password")}}}
	session, err := f.runtime.Open(t.Context(), runtime.Job{ID: 1, Executor: f.executor, WorkspaceDir: t.TempDir(), DockerAuth: auth, Log: &capture{}})
	require.NoError(t, err)
	require.NoError(t, session.Run(t.Context(), fakeStep()))

	words := strings.Split(docker.get(t, "run.1/words"), "\n")
	require.Equal(t, "--config", words[0])
	require.Regexp(t, `/executor-docker-runner[^/]+/docker_auth[^/]+$`, words[1])
	path := filepath.Join(words[1], "config.json")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.JSONEq(t, `{"auths":{"registry.example":{"auth":"dXNlcjpwYXNzd29yZA=="}}}`, string(content))
	var decoded api.DockerAuthConfig
	require.NoError(t, json.Unmarshal(content, &decoded))
	require.Equal(t, auth, decoded)
	require.NoError(t, session.Close(t.Context()))
	require.NoFileExists(t, path)
}

func TestStepsWithoutImageRunOnTheHost(t *testing.T) {
	newFakeDocker(t)
	f := newFixture(t, nil)
	session, _, log := f.open(t, 1)
	step := runtime.Step{Key: "step.src.0", Command: []string{"git", "version"}}
	require.NoError(t, session.Run(t.Context(), step))
	require.Contains(t, log.Entry(t, step.Key).Out, "stdout: git version ")
	step = runtime.Step{Key: "step.src.1", Command: []string{"src"}, Env: []string{"LD_PRELOAD=./evil.so"}}
	require.Equal(t, fault.User, fault.ClassOf(session.Run(t.Context(), step)))
	require.Contains(t, log.Entry(t, step.Key).Out, "The step did not start: step environment variable LD_PRELOAD")
	require.NoError(t, session.Close(t.Context()))
}

// The engine makes a container although the client that asked for it was killed.
func TestAContainerThatComesLateIsRemoved(t *testing.T) {
	docker := newFakeDocker(t)
	docker.set(t, "run.out", "up\n")
	docker.set(t, "run.hang", "")
	docker.set(t, "kill.code", "1")
	docker.set(t, "ps.2.out", "late\thost\tsession\t\n")
	f := newFixture(t, nil)
	session, _, log := f.open(t, 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- session.Run(ctx, fakeStep()) }()
	log.Await(t, "step.docker.0", "up")
	cancel(runtime.ErrCanceled)
	require.ErrorIs(t, <-ended, runtime.ErrCanceled)
	require.Contains(t, docker.calls(t, "rm"), "rm --force --volumes late")
	require.Equal(t, "stdout: up\nThe step was stopped: the job was canceled.\n", log.Entry(t, "step.docker.0").Out)
	require.NoError(t, session.Close(t.Context()))
}

func TestAnEngineThatHangsHoldsNobodyUp(t *testing.T) {
	docker := newFakeDocker(t)
	docker.set(t, "run.out", "up\n")
	for _, verb := range []string{"run", "kill", "rm", "ps", "events"} {
		docker.set(t, verb+".hang", "")
	}
	f := newFixture(t, nil)
	session, _, log := f.open(t, 1)
	f.runtime.engine.limits = shortLimits
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- session.Run(ctx, fakeStep()) }()
	log.Await(t, "step.docker.0", "up")
	began := time.Now()
	cancel(runtime.ErrCanceled)
	require.ErrorIs(t, <-ended, runtime.ErrCanceled)
	require.Less(t, time.Since(began), 10*time.Second)
	require.Contains(t, log.Entry(t, "step.docker.0").Out, "The step's container could not be removed: listing containers: docker ps: the Docker engine did not answer within 200ms.\n")

	require.ErrorContains(t, session.Close(t.Context()), "did not answer")
	dirs, err := filepath.Glob(filepath.Join(f.dir, "executor-docker-runner*"))
	require.NoError(t, err)
	require.Empty(t, dirs, "secrets go all the same")
	require.Len(t, f.runtime.unfinished, 1)
	_, err = f.runtime.Reap(t.Context())
	require.Error(t, err)
	require.Len(t, f.runtime.unfinished, 1)

	f.runtime.engine.limits = defaultLimits
	docker.unset(t, "ps.hang")
	docker.unset(t, "rm.hang")
	line := "late\t" + f.executor + "\tsome-session\t\n"
	docker.set(t, fmt.Sprintf("ps.%d.out", docker.next("ps")), line)
	removed, err := f.runtime.Reap(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, removed)
	require.Empty(t, f.runtime.unfinished)
}

// When the engine stays away until the executor ends, the record stays for the next one.
func TestWhatIsLeftPassesToTheNextExecutor(t *testing.T) {
	docker := newFakeDocker(t)
	docker.set(t, "ps.code", "1")
	f := newFixture(t, nil)
	session, _, _ := f.open(t, 1)
	require.NoError(t, session.Run(t.Context(), fakeStep()))
	require.Error(t, session.Close(t.Context()))
	require.NoError(t, f.claim.Close())

	docker.unset(t, "ps.code")
	docker.set(t, "ps.2.out", "left\t"+f.executor+"\tsession\t\n")
	claim, err := owner.Take(filepath.Join(f.dir, "owners"), owner.Record{Executor: "host-next", Engine: EngineName, Parents: []string{f.dir}})
	require.NoError(t, err)
	defer func() { require.NoError(t, claim.Close()) }()
	next, err := New(logtest.Scoped(t), &command.Runner{}, claim, Options{TempDir: f.dir})
	require.NoError(t, err)
	_, err = next.Reap(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"rm --force --volumes left"}, docker.calls(t, "rm"))
	require.Contains(t, docker.calls(t, "ps")[1], "label=open-executor.executor="+f.executor)
	entries, err := os.ReadDir(filepath.Join(f.dir, "owners"))
	require.NoError(t, err)
	require.Len(t, entries, 1, "the record of the dead is gone")
}

func TestReasons(t *testing.T) {
	for name, test := range map[string]struct {
		code, said, events string
		memory             string
		want               string
	}{
		"the step's own code":        {code: "3", events: "start\ndie\n"},
		"the step's own 125":         {code: "125", said: "docker: a line of the step\n", events: "create\nstart\ndie\n"},
		"125 without a word":         {code: "125", events: "start\n"},
		"127 of the step":            {code: "127", said: "sh: x: not found\n", events: "start\n"},
		"oom":                        {code: "137", events: "start\noom\ndie\n", memory: "12G", want: "The step was killed: out of memory (limit 12G)."},
		"oom of a child":             {code: "1", events: "start\noom\ndie\n", memory: "12G", want: "A process of the step was killed: out of memory (limit 12G)."},
		"oom of the machine":         {code: "137", events: "start\noom\ndie\n", memory: "0", want: "The step was killed: out of memory (no limit is set, so the machine has none left)."},
		"SIGKILL without oom":        {code: "137", events: "start\ndie\n", memory: "12G", want: "Exit code 137 means SIGKILL, and nobody stopped the step: lack of memory is the likely cause (limit 12G)."},
		"pull":                       {code: "125", said: "Unable to find image 'image:1' locally\n1: Pulling from image\ndocker: Error response from daemon: pull access denied for image.\nSee 'docker run --help'.\n", want: "The step did not start: image image:1 could not be pulled: pull access denied for image."},
		"refused":                    {code: "125", said: "docker: Error response from daemon: no such mount.\n\nRun 'docker run --help' for more information\n", events: "create\n", want: "The step did not start: the Docker engine refused it: no such mount."},
		"engine gone":                {code: "125", said: "docker: unexpected EOF\n", events: "start\n", want: "The step was lost: the Docker engine failed: unexpected EOF."},
		"engine that is silent":      {code: "125", said: "docker: error during connect.\n", want: "The step was lost: the Docker engine failed: error during connect."},
		"no shell":                   {code: "127", said: "[FATAL tini (7)] exec /bin/sh failed: No such file or directory\n", events: "start\n", want: "The step did not start: image image:1 has no /bin/sh."},
		"no shell, without the init": {code: "127", said: `docker: Error response from daemon: exec: "/bin/sh": no such file` + "\n", events: "create\n", want: "The step did not start: image image:1 has no /bin/sh."},
		"shell not executable":       {code: "126", said: "[FATAL tini (7)] exec /bin/sh failed: Permission denied\n", events: "start\n", want: "The step did not start: /bin/sh of image image:1 can't be executed."},
	} {
		t.Run(name, func(t *testing.T) {
			docker := newFakeDocker(t)
			docker.set(t, "run.code", test.code)
			docker.set(t, "run.err", test.said)
			docker.set(t, "events.out", test.events)
			if test.events == "" {
				docker.set(t, "events.code", "1")
			}
			f := newFixture(t, func(o *Options) { o.Memory = test.memory })
			session, _, log := f.open(t, 1)
			err := session.Run(t.Context(), fakeStep())
			require.ErrorContains(t, err, "command failed with exit code "+test.code)
			_, notes, _ := strings.Cut("\n"+log.Entry(t, "step.docker.0").Out, "\nThe step")
			if test.want == "" {
				require.Empty(t, notes)
				require.Equal(t, "command failed with exit code "+test.code, err.Error())
				return
			}
			require.Contains(t, log.Entry(t, "step.docker.0").Out, test.want+"\n")
			require.ErrorContains(t, err, strings.TrimSuffix(test.want, "."))
			require.NoError(t, session.Close(t.Context()))
		})
	}
}

func TestClientsThatDieLeaveNoContainer(t *testing.T) {
	docker := newFakeDocker(t)
	docker.set(t, "run.code", "125")
	docker.set(t, "run.err", "docker: unexpected EOF\n")
	docker.set(t, "events.out", "start\n")
	docker.set(t, "ps.1.out", "left\thost\tsession\t\n")
	f := newFixture(t, nil)
	session, _, _ := f.open(t, 1)
	require.Error(t, session.Run(t.Context(), fakeStep()))
	require.Equal(t, []string{"rm --force --volumes left"}, docker.calls(t, "rm"))
	require.NoError(t, session.Close(t.Context()))
}

func TestOpenLeavesNothingBehindOnErrors(t *testing.T) {
	docker := newFakeDocker(t)
	docker.set(t, "info.code", "1")
	docker.set(t, "info.err", "ERROR: Cannot connect\n")
	f := newFixture(t, func(o *Options) { o.CPUs = 4 })
	_, err := f.runtime.Open(t.Context(), runtime.Job{WorkspaceDir: t.TempDir()})
	require.ErrorContains(t, err, "docker info: ERROR: Cannot connect")
	_, err = f.runtime.Open(t.Context(), runtime.Job{WorkspaceDir: "/a:b"})
	require.Equal(t, fault.Operator, fault.ClassOf(err))
	docker.unset(t, "info.code")
	f.runtime.options.TempDir = filepath.Join(f.dir, "missing")
	_, err = f.runtime.Open(t.Context(), runtime.Job{WorkspaceDir: t.TempDir()})
	require.True(t, errors.Is(err, os.ErrNotExist), "%v", err)
	entries, err := os.ReadDir(f.dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "only the owner records")
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]Options{
		"CPUs":      {CPUs: -1, TempDir: "/tmp"},
		"grace":     {Grace: -1, TempDir: "/tmp"},
		"directory": {TempDir: "relative"},
	} {
		_, err := New(logtest.Scoped(t), &command.Runner{}, nil, options)
		require.Equalf(t, fault.Operator, fault.ClassOf(err), "%s", name)
	}
	options, err := Options{TempDir: "/tmp", PidsLimit: -5}.validated()
	require.NoError(t, err)
	require.Equal(t, Options{TempDir: "/tmp", PidsLimit: -1, Grace: DefaultGrace}, options)
}

func TestHasForeign(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755))
	require.NoError(t, os.Symlink("/", filepath.Join(dir, "a", "link")))
	require.False(t, hasForeign(dir, os.Geteuid()))
	require.True(t, hasForeign(dir, os.Geteuid()+1))
	require.True(t, hasForeign(filepath.Join(dir, "missing"), os.Geteuid()))
}
