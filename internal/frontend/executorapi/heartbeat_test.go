package executorapi

import (
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
)

func TestHeartbeatRecordsTheExecutor(t *testing.T) {
	t.Parallel()
	relay := NewRelay(logtest.Scoped(t), time.Now)
	b := setup(t, Config{Metrics: relay})
	got := b.do("POST", "/.executors/queue/default/heartbeat",
		`{"version":"V2","executorName":"ex-1","jobIds":null,"os":"linux","architecture":"amd64","dockerVersion":"20.10","executorVersion":"5.2.0",
		"gitVersion":"2.39.5","igniteVersion":"","srcCliVersion":"5.3.0","prometheusMetrics":"up 1\n","unknown":{}}`, shared())
	require.Equal(t, `{"knownIds":[],"cancelIds":[]}`, got.body)
	b.do("POST", "/.executors/queue/heartbeat", `{"ExecutorName":"ex-2","queueNames":["a","b"]}`, shared())

	one, two := b.store.executors["ex-1"], b.store.executors["ex-2"]
	require.Equal(t, []string{"default"}, one.Queues)
	require.Equal(t, "linux", one.Telemetry.OS)
	require.Equal(t, "5.3.0", one.Telemetry.SrcCliVersion)
	require.Empty(t, one.Telemetry.PrometheusMetrics, "metrics go to the relay, not into the store")
	require.Equal(t, []string{"a", "b"}, two.Queues)

	relay.Wait()
	families, err := relay.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
}

func TestHeartbeatRenewsThoughRecordingFails(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, spec("default"))
	job := b.lease("default", "unrecordable")
	got := b.do("POST", "/.executors/queue/default/heartbeat", `{"executorName":"unrecordable","jobIds":[42,"42","x","42-default",1e1]}`, shared())
	require.EqualValues(t, 42, job.ID)
	require.Equal(t, `{"knownIds":["42","42"],"cancelIds":[]}`, got.body)
}

func TestHeartbeatDoesNotKnowOthersJobs(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, spec("default"))
	b.lease("default", "ex-1")
	got := b.do("POST", "/.executors/queue/default/heartbeat", `{"executorName":"ex-2","jobIds":[42]}`, shared())
	require.Equal(t, `{"knownIds":[],"cancelIds":[]}`, got.body)
}
