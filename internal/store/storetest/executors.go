package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
)

var executorTests = map[string]func(t *testing.T, b *bundle){
	"ExecutorsSeen": executorsSeen,
	"QueueCounts":   queueCounts,
}

func executorsSeen(t *testing.T, b *bundle) {
	executors := func() []store.Executor {
		list, err := b.store.Executors(b.ctx)
		require.NoError(t, err)
		return list
	}
	require.Empty(t, executors())
	require.Error(t, b.store.Seen(b.ctx, store.Executor{}))

	one := store.Executor{Name: "one", Queues: []string{"a", "b"}, Telemetry: api.Telemetry{
		OS: "linux", Architecture: "arm64", DockerVersion: "28.1", ExecutorVersion: "6.0.0", GitVersion: "2.39", SrcCliVersion: "5.9",
		PrometheusMetrics: "up 1\n",
	}}
	two := store.Executor{Name: "two", Queues: []string{"a"}}
	start := b.clock.Now()
	require.NoError(t, b.store.Seen(b.ctx, one))
	b.clock.Advance(time.Second)
	require.NoError(t, b.store.Seen(b.ctx, two))
	one.FirstSeenAt, one.LastSeenAt = start, start
	two.FirstSeenAt, two.LastSeenAt = b.clock.Now(), b.clock.Now()
	require.Equal(t, []store.Executor{two, one}, executors(), "the newest first")

	b.clock.Advance(time.Second)
	require.NoError(t, b.store.Seen(b.ctx, store.Executor{Name: "one"}), "a ping")
	b.submit("a")
	b.submit("b")
	one.Jobs = []int64{b.lease("one", "a").JobID, b.lease("one", "b").JobID}
	one.LastSeenAt = b.clock.Now()
	require.Equal(t, []store.Executor{two, one}, executors(), "a ping keeps what the heartbeat told")

	two.Queues, two.Telemetry = []string{"c"}, api.Telemetry{OS: "darwin"}
	require.NoError(t, b.store.Seen(b.ctx, two))
	two.LastSeenAt = b.clock.Now()
	require.Equal(t, []store.Executor{two, one}, executors())

	b.clock.Advance(7*24*time.Hour + time.Second)
	require.NoError(t, b.store.Seen(b.ctx, store.Executor{Name: "three"}))
	var names []string
	for _, executor := range executors() {
		names = append(names, executor.Name)
	}
	require.Equal(t, []string{"three", "one"}, names, "who is silent for a week and holds no lease is forgotten")
}

func queueCounts(t *testing.T, b *bundle) {
	queues := func() []store.QueueCount {
		list, err := b.store.Queues(b.ctx)
		require.NoError(t, err)
		return list
	}
	require.Empty(t, queues())
	b.submit("b")
	b.submit("a", func(spec *jobs.Spec) { spec.Retries = 1 })
	b.submit("a")
	b.submit("a")
	require.Equal(t, []store.QueueCount{{Name: "a", Queued: 3}, {Name: "b", Queued: 1}}, queues())

	first, second := b.lease(executor, "a"), b.lease(executor, "a")
	require.Equal(t, []store.QueueCount{{Name: "a", Queued: 1, Processing: 2}, {Name: "b", Queued: 1}}, queues())
	b.finish(first, store.Errored, "waits for its retry")
	b.finish(second, store.Complete, "")
	b.finish(b.lease(executor, "b"), store.Complete, "")
	require.Equal(t, []store.QueueCount{{Name: "a", Queued: 2}, {Name: "b"}}, queues(), "a queue stays when its jobs are over")
}
