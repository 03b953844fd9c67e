package docker

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
)

func TestArgumentsAreInTheOrderOfTheSpec(t *testing.T) {
	t.Parallel()
	run := invocation{
		name:    "open-executor-42-1-x",
		labels:  []string{"a=1", "b=2"},
		hostDir: "/tmp/workspace-42-1",
		step:    runtime.Step{Image: "debian:12", Script: "42.0_@.sh"},
		dir:     ".",
		options: Options{PidsLimit: 100},
	}
	const additions = "--name open-executor-42-1-x --label a=1 --label b=2 --init -e TINI_KILL_PROCESS_GROUP=1 --log-driver none --pids-limit 100"
	const program = "--entrypoint /bin/sh debian:12 /data/.sourcegraph-executor/42.0_@.sh"
	require.Equal(t, "docker run --rm "+additions+" -v /tmp/workspace-42-1:/data -w /data "+program, strings.Join(run.words(), " "))
	run.options.Memory = "0"
	require.NotContains(t, run.words(), "--memory")

	run.options = Options{
		PidsLimit: 100, CPUs: 4, Memory: "12G", AddHostGateway: true,
		Mounts: []string{"type=bind,source=/a,target=/b", "type=tmpfs,target=/c"},
	}
	run.configDir, run.dir, run.envFile = "/tmp/auth", "repository/sub", "/tmp/env-1"
	run.env = environment{client: []string{"KEY=a\nb"}, names: []string{"A", "KEY"}}
	full := "docker --config /tmp/auth run --rm " + additions + " --add-host=host.docker.internal:host-gateway --cpus 4 --memory 12G" +
		" --mount type=bind,source=/a,target=/b --mount type=tmpfs,target=/c -v /tmp/workspace-42-1:/data -w /data/repository/sub "
	require.Equal(t, full+"--env-file /tmp/env-1 -e KEY "+program, strings.Join(run.words(), " "))
	require.Equal(t, full+"-e A -e KEY "+program, strings.Join(run.shown(), " "))
}

func TestCheckImage(t *testing.T) {
	t.Parallel()
	for _, image := range []string{"a", "debian:12", "host:5000/a/b@sha256:" + strings.Repeat("0", 64)} {
		require.NoErrorf(t, checkImage(image), "image %q", image)
	}
	for _, image := range []string{"", "-", "--privileged", "a b", "a\n", "\u00a0a", "a\x00"} {
		require.Equalf(t, fault.User, fault.ClassOf(checkImage(image)), "image %q", image)
	}
}

func TestHostMountPath(t *testing.T) {
	t.Parallel()
	r := &Runtime{options: Options{HostMountPath: "/host/workspaces"}}
	dir, err := r.hostDir("/tmp/workspace-42-1")
	require.NoError(t, err)
	require.Equal(t, "/host/workspaces/workspace-42-1", dir)
}

func TestLabels(t *testing.T) {
	t.Parallel()
	job := runtime.Job{ID: 42, Queue: "batches", Attempt: 3, Executor: "host-uuid"}
	want := []string{
		"open-executor.managed-by=executor",
		"open-executor.executor=host-uuid",
		"open-executor.queue=batches",
		"open-executor.job=42",
		"open-executor.attempt=3",
		"open-executor.session=s",
	}
	require.Equal(t, want, labels(t.Context(), job, "s"))
	ctx, cancel := context.WithDeadline(t.Context(), time.Date(2130, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)))
	defer cancel()
	require.Equal(t, append(want, "open-executor.deadline=2130-01-02T02:04:05Z"), labels(ctx, job, "s"))
}

func TestParseList(t *testing.T) {
	t.Parallel()
	require.Equal(t, []container{
		{id: "a", executor: "e", session: "s", deadline: time.Date(2130, 1, 2, 2, 4, 5, 0, time.UTC)},
		{id: "b"},
		{id: "c", executor: "e"},
	}, parseList("a\te\ts\t2130-01-02T02:04:05Z\nb\t\t\t\n\nbad line\n\te\ts\t\nc\te\t\tnever\n"))
}

func FuzzParseList(f *testing.F) {
	f.Add("a\te\ts\t2130-01-02T02:04:05Z\n")
	f.Add("\t\t\t\n\r\n")
	f.Fuzz(func(t *testing.T, out string) {
		for _, c := range parseList(out) {
			require.NotEmpty(t, c.id)
			require.Contains(t, out, c.id+"\t"+c.executor+"\t"+c.session+"\t")
		}
	})
}

func TestStrayed(t *testing.T) {
	t.Parallel()
	docker := &Runtime{claim: nil, open: map[string]bool{"open": true}}
	f := newFixture(t, nil)
	docker.claim = f.claim
	for name, test := range map[string]struct {
		c    container
		want bool
	}{
		"own, open":                     {container{executor: f.executor, session: "open"}, false},
		"own, open, late":               {container{executor: f.executor, session: "open", deadline: time.Now().Add(-2 * time.Hour)}, false},
		"own, closed":                   {container{executor: f.executor, session: "closed", deadline: time.Now().Add(time.Hour)}, true},
		"unknown, no deadline":          {container{executor: "other"}, false},
		"unknown, before its deadline":  {container{executor: "other", deadline: time.Now().Add(time.Minute)}, false},
		"unknown, just past it":         {container{executor: "other", deadline: time.Now().Add(-50 * time.Minute)}, false},
		"unknown, an hour past it":      {container{executor: "other", deadline: time.Now().Add(-61 * time.Minute)}, true},
		"nameless, an hour past it":     {container{deadline: time.Now().Add(-61 * time.Minute)}, true},
		"unknown, in an open session's": {container{executor: "other", session: "open"}, false},
	} {
		require.Equalf(t, test.want, docker.strayed(test.c), "%s", name)
	}
}
