package mirror

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/open-executor/executor/internal/mirror/origin"
	"github.com/open-executor/executor/internal/mirror/shelf"
)

// metrics are the mirror's own. The distribution's registry_proxy_* see each fetch as a miss and the serving after it as a hit; these count
// what clients asked for.
type metrics struct {
	requests, upstreamAnswers, evictions, evictedBytes *prometheus.CounterVec
	served, fetched                                    prometheus.Counter
	kept, lastEviction, health                         prometheus.Gauge
	disk                                               *prometheus.GaugeVec
	hits, asked                                        atomic.Int64
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: "registry_mirror_" + name, Help: help}
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Name: "registry_mirror_" + name, Help: help}
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(counter("requests_total",
			"Pulls of manifests and blobs by result: hit (from the cache), miss (fetched), stale (from the cache, the upstream was away), error."), []string{"kind", "result"}),
		upstreamAnswers: prometheus.NewCounterVec(counter("upstream_requests_total", "Requests to the upstream by how it answered."), []string{"outcome"}),
		evictions:       prometheus.NewCounterVec(counter("evictions_total", "Blobs removed from the cache by reason."), []string{"reason"}),
		evictedBytes:    prometheus.NewCounterVec(counter("evicted_bytes_total", "Bytes removed from the cache by reason."), []string{"reason"}),
		served:          prometheus.NewCounter(counter("served_bytes_total", "Bytes of answers to clients.")),
		fetched:         prometheus.NewCounter(counter("fetched_bytes_total", "Bytes of blobs and manifests read from the upstream.")),
		kept:            prometheus.NewGauge(gauge("cache_bytes", "Bytes of content in the cache when it was looked through last.")),
		lastEviction:    prometheus.NewGauge(gauge("last_eviction_timestamp_seconds", "When content was removed last; 0 for not yet.")),
		health:          prometheus.NewGauge(gauge("health", "The last finding of health: 2 healthy, 1 degraded, 0 failed, -1 for none yet.")),
		disk:            prometheus.NewGaugeVec(gauge("disk_bytes", "Use of the data disk when the cache was looked through last."), []string{"state"}),
	}
	ratio := prometheus.NewGaugeFunc(gauge("hit_ratio", "Share of pulls answered from the cache since the start, stale ones included; 0 before the first."), func() float64 {
		asked := m.asked.Load()
		if asked == 0 {
			return 0
		}
		return float64(m.hits.Load()) / float64(asked)
	})
	m.health.Set(-1)
	// Series that exist from the start have a beginning to compute rates from.
	for _, kind := range []string{"blob", "manifest"} {
		for _, result := range []string{"hit", "miss", "stale", "error"} {
			m.requests.WithLabelValues(kind, result)
		}
	}
	for _, outcome := range append([]origin.Kind{origin.Answered}, origin.Kinds...) {
		m.upstreamAnswers.WithLabelValues(string(outcome))
	}
	for _, reason := range shelf.Reasons {
		m.evictions.WithLabelValues(string(reason))
		m.evictedBytes.WithLabelValues(string(reason))
	}
	reg.MustRegister(m.requests, m.upstreamAnswers, m.evictions, m.evictedBytes, m.served, m.fetched, m.kept, m.lastEviction, m.health, m.disk, ratio)
	return m
}

func (m *metrics) request(kind, result string) {
	m.requests.WithLabelValues(kind, result).Inc()
	m.asked.Add(1)
	if result == "hit" || result == "stale" {
		m.hits.Add(1)
	}
}

func (m *metrics) upstream(kind origin.Kind) { m.upstreamAnswers.WithLabelValues(string(kind)).Inc() }

func (m *metrics) servedBytes(n int64) { m.served.Add(float64(n)) }

func (m *metrics) evicted(result shelf.Evicted, now time.Time) {
	for reason, count := range result.Blobs {
		m.evictions.WithLabelValues(string(reason)).Add(float64(count))
		m.evictedBytes.WithLabelValues(string(reason)).Add(float64(result.Bytes[reason]))
		m.lastEviction.Set(float64(now.Unix()))
	}
	m.kept.Set(float64(result.Kept))
	m.disk.WithLabelValues("used").Set(float64(result.Disk.Used))
	m.disk.WithLabelValues("free").Set(float64(result.Disk.Free))
}

func (m *metrics) dropped(now time.Time) {
	m.evictions.WithLabelValues(string(shelf.Corrupt)).Inc()
	m.lastEviction.Set(float64(now.Unix()))
}

// Observability serves /metrics, of the gatherers, /alive, which says that the process answers, and /health, also at the reference's /debug/health.
func (m *Mirror) Observability(gatherers ...prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(prometheus.Gatherers(gatherers), promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /alive", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /health", m.serveHealth)
	mux.HandleFunc("GET /debug/health", m.serveHealth)
	return mux
}
