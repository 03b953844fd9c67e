package metrics

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gauges is a registry of gauges by name.
func gauges(values map[string]float64) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	for name, value := range values {
		gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "own"})
		gauge.Set(value)
		registry.MustRegister(gauge)
	}
	return registry
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func sources(t *testing.T, nodeExporter, dockerRegistry string) []Source {
	t.Helper()
	sources, err := Sources(nodeExporter, dockerRegistry)
	require.NoError(t, err)
	return sources
}

func TestTextBringsAllSourcesTogether(t *testing.T) {
	t.Parallel()
	node := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RequestURI() != "/base/metrics" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte("# TYPE node_load1 gauge\nnode_load1 0.5\ngo_goroutines 7\nprocess_open_fds 3\npromhttp_requests_total 9\n"))
	})
	registry := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.RequestURI() {
		case "/proxy?module=registry":
			_, _ = w.Write([]byte("# TYPE storage gauge\nstorage{disk=\"a\",sg_instance=\"liar\"} 1\ngo_threads 1\n"))
		case "/proxy?module=node":
			_, _ = w.Write([]byte("# TYPE node_load1 gauge\nnode_load1 0.25\n"))
		default:
			http.NotFound(w, r)
		}
	})
	own := gauges(map[string]float64{"src_own": 1, "go_own": 2})
	exposition := NewExposition(logtest.Scoped(t), own, sources(t, node+"/base/", registry))
	require.Equal(t, `# HELP go_own own
# TYPE go_own gauge
go_own 2
# TYPE node_load1 gauge
node_load1 0.5
node_load1{sg_instance="docker-registry"} 0.25
# HELP src_own own
# TYPE src_own gauge
src_own 1
# TYPE storage gauge
storage{disk="a",sg_instance="docker-registry"} 1
`, exposition.Text(t.Context()))
}

func TestTextLeavesFailingSourcesOut(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"status":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"malformed": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{{{\n")) },
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(strings.Repeat("# nothing but comments\n", 4096)))
			}
		},
		"hanging up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logger, logs := logtest.Captured(t)
			exposition := NewExposition(logger, gauges(map[string]float64{"up": 1}), sources(t, serve(t, handler), ""))
			require.Equal(t, "# HELP up own\n# TYPE up gauge\nup 1\n", exposition.Text(t.Context()))
			require.Equal(t, []string{"metrics source does not answer, leaving its metrics out"}, logs().Messages())
			exposition.Text(t.Context())
			require.Empty(t, logs(), "a lasting failure is told once")
		})
	}
}

func TestTextDoesNotWaitBeyondItsContext(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}), make(chan struct{})
	hanging := serve(t, func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-release
	})
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	exposition := NewExposition(logtest.Scoped(t), gauges(map[string]float64{"up": 1}), sources(t, hanging, ""))
	require.Contains(t, exposition.Text(ctx), "up 1")
}

func TestTextTellsWhenASourceIsBack(t *testing.T) {
	t.Parallel()
	broken := true
	node := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if broken {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = w.Write([]byte("node_load1 1\n"))
	})
	logger, logs := logtest.Captured(t)
	exposition := NewExposition(logger, gauges(nil), sources(t, node, ""))
	require.Empty(t, exposition.Text(t.Context()))
	broken = false
	require.Contains(t, exposition.Text(t.Context()), "node_load1 1\n")
	require.Equal(t, []string{
		"metrics source does not answer, leaving its metrics out", "metrics source answers again",
	}, logs().Messages())
}

func TestTextKeepsWhatAPartlyFailingGathererHas(t *testing.T) {
	t.Parallel()
	logger, logs := logtest.Captured(t)
	own := prometheus.Gatherers{
		gauges(map[string]float64{"up": 1}),
		prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return nil, errors.New("collector broke") }),
	}
	require.Contains(t, NewExposition(logger, own, nil).Text(t.Context()), "up 1")
	require.Equal(t, []string{"some metrics could not be gathered"}, logs().Messages())
}

func TestFamiliesOfTwoTypesDontMix(t *testing.T) {
	t.Parallel()
	node := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("# TYPE up counter\nup 99\n"))
	})
	text := NewExposition(logtest.Scoped(t), gauges(map[string]float64{"up": 1}), sources(t, node, "")).Text(t.Context())
	require.Equal(t, "# HELP up own\n# TYPE up gauge\nup 1\n", text)
}

func TestSources(t *testing.T) {
	t.Parallel()
	require.Empty(t, sources(t, "", ""), "no URL, no source")

	instances := map[string]string{}
	for _, source := range sources(t, "http://node:9100", "https://mirror/x") {
		instances[source.URL.String()] = source.Instance
	}
	require.Equal(t, map[string]string{
		"http://node:9100/metrics":               "",
		"https://mirror/x/proxy?module=registry": "docker-registry",
		"https://mirror/x/proxy?module=node":     "docker-registry",
	}, instances)

	for _, bad := range []string{"node:9100", "ftp://node", "http://", "http://user:hunter2@%zz"} {
		_, err := Sources(bad, "")
		require.ErrorContains(t, err, "NODE_EXPORTER_URL", bad)
		require.Equal(t, fault.Operator, fault.ClassOf(err))
		require.NotContains(t, err.Error(), "hunter2")
		_, err = Sources("", bad)
		require.ErrorContains(t, err, "DOCKER_REGISTRY_NODE_EXPORTER_URL", bad)
	}
}

func TestHangingSourceIsGivenTwoSeconds(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hanging := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	started := time.Now()
	NewExposition(logtest.NoOp(t), gauges(nil), sources(t, hanging, hanging)).Text(t.Context())
	require.GreaterOrEqual(t, time.Since(started), sourceTimeout)
	require.Less(t, time.Since(started), 5*sourceTimeout, "three sources are asked at the same time")
}
