package worker

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

func TestHandlersGaugeIsThePeakOfFiveSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		m := NewMetrics(registry, "batches_codeintel")
		gauge := func(want string) {
			t.Helper()
			require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(
				"# HELP src_executor_processor_handlers Jobs that run, at most, within the last five seconds.\n"+
					"# TYPE src_executor_processor_handlers gauge\n"+
					"src_executor_processor_handlers{queue=\"batches_codeintel\"} "+want+"\n"), "src_executor_processor_handlers"))
		}
		gauge("0")
		endOne, endTwo := m.handling(), m.handling()
		gauge("2")
		endOne(nil)
		gauge("2")
		time.Sleep(peakWindow + time.Second)
		gauge("1")
		endTwo(errors.New("no"))
		time.Sleep(peakWindow)
		gauge("1")
		time.Sleep(time.Second)
		gauge("0")
		count, err := testutil.GatherAndCount(registry, "src_executor_processor_total", "src_executor_processor_errors_total")
		require.NoError(t, err)
		require.Equal(t, 2, count)
	})
}

func TestNoMetrics(t *testing.T) {
	t.Parallel()
	var m *Metrics
	require.NotPanics(t, func() { m.handling()(nil) })
}
