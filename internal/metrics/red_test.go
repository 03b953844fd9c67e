package metrics

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
)

func text(t *testing.T, gatherer prometheus.Gatherer) string {
	t.Helper()
	return NewExposition(logtest.Scoped(t), gatherer, nil).Text(t.Context())
}

func TestRED(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	red := NewREDWithBuckets(registry, "executor_processor", []float64{30, 60}, "queue")
	red.Observe("Handle", 45*time.Second, nil, "batches")
	red.Observe("Handle", 5*time.Second, errors.New("no"), "batches")
	require.Equal(t, `# HELP src_executor_processor_duration_seconds Time that executor_processor operations take.
# TYPE src_executor_processor_duration_seconds histogram
src_executor_processor_duration_seconds_bucket{op="Handle",queue="batches",le="30"} 1
src_executor_processor_duration_seconds_bucket{op="Handle",queue="batches",le="60"} 2
src_executor_processor_duration_seconds_bucket{op="Handle",queue="batches",le="+Inf"} 2
src_executor_processor_duration_seconds_sum{op="Handle",queue="batches"} 50
src_executor_processor_duration_seconds_count{op="Handle",queue="batches"} 2
# HELP src_executor_processor_errors_total Total number of executor_processor operations that failed.
# TYPE src_executor_processor_errors_total counter
src_executor_processor_errors_total{op="Handle",queue="batches"} 1
# HELP src_executor_processor_total Total number of executor_processor operations.
# TYPE src_executor_processor_total counter
src_executor_processor_total{op="Handle",queue="batches"} 2
`, text(t, registry))
}

func TestREDStart(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	end := NewRED(registry, "apiworker_command").Start("exec")
	require.Empty(t, text(t, registry), "an operation counts when it ends")
	end(nil)
	require.Contains(t, text(t, registry), "src_apiworker_command_total{op=\"exec\"} 1\n")
	require.Contains(t, text(t, registry), "src_apiworker_command_errors_total{op=\"exec\"} 0\n", "rates need a beginning")
}

func TestREDTwiceIsTheSameFamily(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	NewRED(registry, "apiworker_apiclient_queue").Observe("Dequeue", 0, nil)
	NewRED(registry, "apiworker_apiclient_queue").Observe("Dequeue", 0, nil)
	require.Contains(t, text(t, registry), "src_apiworker_apiclient_queue_total{op=\"Dequeue\"} 2\n")
	require.Panics(t, func() { NewRED(registry, "apiworker_apiclient_queue", "queue") }, "other labels under the same names")
}

func TestUnregisteredRED(t *testing.T) {
	t.Parallel()
	require.NotPanics(t, func() { NewRED(nil, "anything").Observe("op", time.Second, nil) })
}
