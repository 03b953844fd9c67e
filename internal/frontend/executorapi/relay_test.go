package executorapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
)

func render(t *testing.T, gatherer prometheus.Gatherer) string {
	t.Helper()
	families, err := gatherer.Gather()
	require.NoError(t, err)
	var out strings.Builder
	for _, family := range families {
		_, err := expfmt.MetricFamilyToText(&out, family)
		require.NoError(t, err)
	}
	return out.String()
}

func TestRelayLabelsAndMerges(t *testing.T) {
	t.Parallel()
	relay := NewRelay(logtest.Scoped(t), time.Now)
	receive := func(executor, text string) {
		relay.Receive(executor, text)
		relay.Wait()
	}
	receive("ex-2", "# HELP jobs Jobs.\n# TYPE jobs counter\njobs{queue=\"b\"} 2\n")
	receive("ex-1", "# HELP jobs Jobs.\n# TYPE jobs counter\njobs{queue=\"a\",sg_job=\"made up\"} 1\nup{sg_instance=\"docker-registry\"} 1\n")
	receive("ex-3", "# TYPE jobs gauge\njobs 9\nup{sg_instance=\"docker-registry\"} 0\nup{a=\"2\"} 5\n")
	require.Equal(t, `# HELP jobs Jobs.
# TYPE jobs counter
jobs{queue="a",sg_instance="ex-1",sg_job="sourcegraph-executors"} 1
jobs{queue="b",sg_instance="ex-2",sg_job="sourcegraph-executors"} 2
# TYPE up untyped
up{sg_instance="docker-registry",sg_job="sourcegraph-executors-registry"} 1
up{a="2",sg_instance="ex-3",sg_job="sourcegraph-executors"} 5
`, render(t, relay))

	own := prometheus.NewRegistry()
	own.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "jobs", Help: "Jobs."}))
	require.Contains(t, render(t, prometheus.Gatherers{own, relay}), "\njobs 0\n", "what is relayed fits beside the frontend's own")
}

func TestRelayReplacesAndForgets(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	relay := NewRelay(logtest.Scoped(t), func() time.Time { return now })
	receive := func(executor, text string) {
		relay.Receive(executor, text)
		relay.Wait()
	}
	receive("ex-1", "up 1\n")
	receive("ex-2", "up 1\n")
	now = now.Add(4 * time.Minute)
	receive("ex-1", "up 2\n")
	receive("ex-1", "up{ 3\n") // broken: the last good one stays
	now = now.Add(2 * time.Minute)
	require.Equal(t, "# TYPE up untyped\nup{sg_instance=\"ex-1\",sg_job=\"sourcegraph-executors\"} 2\n", render(t, relay))
	now = now.Add(5 * time.Minute)
	require.Empty(t, render(t, relay))
}

func TestRelayIsBounded(t *testing.T) {
	t.Parallel()
	relay := NewRelay(logtest.Scoped(t), time.Now)
	relay.Receive("long", strings.Repeat("#", relayMaxText+1))
	var many strings.Builder
	for i := range relayMaxSeries + 1 {
		fmt.Fprintf(&many, "m{i=\"%d\"} 1\n", i)
	}
	relay.Receive("many", many.String())
	relay.Wait()
	require.Empty(t, render(t, relay))

	// While it is busy, newcomers are dropped instead of piling up.
	for range relayParallel {
		relay.slots <- struct{}{}
	}
	relay.Receive("ex-1", "up 1\n")
	for range relayParallel {
		<-relay.slots
	}
	relay.Wait()
	require.Empty(t, render(t, relay))
}

func FuzzRelay(f *testing.F) {
	for _, text := range []string{"", "up 1\n", "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_sum 1\nh_count 2\n", "a{b=\"c\",b=\"d\"} NaN 12\n", "# TYPE a summary\na{quantile=\"x\"} 1\n"} {
		f.Add("ex-1", text)
	}
	f.Fuzz(func(t *testing.T, executor, text string) {
		families, err := parseMetrics(executor, text)
		if err != nil {
			return
		}
		for name, family := range families {
			for _, metric := range family.Metric {
				labels := map[string]int{}
				for _, pair := range metric.Label {
					labels[pair.GetName()]++
				}
				for label, times := range labels {
					if times != 1 {
						t.Fatalf("%s has label %s %d times", name, label, times)
					}
				}
				if labels[labelInstance] != 1 || labels[labelJob] != 1 {
					t.Fatalf("%s lacks a label: %v", name, metric)
				}
			}
		}
	})
}
