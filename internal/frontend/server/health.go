package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/store"
)

// readyTime bounds the question to the store.
const readyTime = 5 * time.Second

// handleHealth adds /healthz (the process answers), /readyz (the store does) and /metrics.
func (s *Server) handleHealth(mux *http.ServeMux, gatherer prometheus.Gatherer) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answerText(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTime)
		defer cancel()
		if _, err := s.store.Queues(ctx); err != nil {
			s.logger.Error("store does not answer", log.Error(err))
			answerText(w, http.StatusServiceUnavailable, "the store does not answer")
			return
		}
		answerText(w, http.StatusOK, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError,
		Timeout:       10 * time.Second,
	}))
}

func answerText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

// queueCollector shows the queues' lengths.
type queueCollector struct{ executors store.Executors }

var (
	queuedDesc     = prometheus.NewDesc("src_executor_total", "Jobs that wait, by queue.", []string{"queue"}, nil)
	processingDesc = prometheus.NewDesc("src_executor_processing", "Jobs that run, by queue.", []string{"queue"}, nil)
)

// Describe implements prometheus.Collector.
func (queueCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- queuedDesc
	descriptions <- processingDesc
}

// Collect implements prometheus.Collector.
func (c queueCollector) Collect(collected chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	queues, err := c.executors.Queues(ctx)
	if err != nil {
		collected <- prometheus.NewInvalidMetric(queuedDesc, err)
		return
	}
	for _, queue := range queues {
		collected <- prometheus.MustNewConstMetric(queuedDesc, prometheus.GaugeValue, float64(queue.Queued), queue.Name)
		collected <- prometheus.MustNewConstMetric(processingDesc, prometheus.GaugeValue, float64(queue.Processing), queue.Name)
	}
}
