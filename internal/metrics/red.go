// Package metrics gives the executor's parts their Prometheus metrics and renders everything as text for heartbeats.
package metrics

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// RED counts operations, their errors and their durations: the metrics src_<prefix>_total, src_<prefix>_errors_total and
// src_<prefix>_duration_seconds, with the label "op" (spec section 7.1). Safe for concurrent use.
type RED struct {
	total, errors *prometheus.CounterVec
	duration      *prometheus.HistogramVec
}

// NewRED makes or finds the family of a prefix at reg; nil leaves it unregistered. Labels come before "op"; their values are
// given with each observation in the same order. It panics on what prometheus.MustRegister panics on, except that the same family
// may be asked for again.
func NewRED(reg prometheus.Registerer, prefix string, labels ...string) *RED {
	return NewREDWithBuckets(reg, prefix, prometheus.DefBuckets, labels...)
}

// NewREDWithBuckets is NewRED with the histogram's buckets, in seconds.
func NewREDWithBuckets(reg prometheus.Registerer, prefix string, buckets []float64, labels ...string) *RED {
	labels = append(labels[:len(labels):len(labels)], "op")
	return &RED{
		total: register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "src_" + prefix + "_total",
			Help: "Total number of " + prefix + " operations.",
		}, labels)),
		errors: register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "src_" + prefix + "_errors_total",
			Help: "Total number of " + prefix + " operations that failed.",
		}, labels)),
		duration: register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "src_" + prefix + "_duration_seconds",
			Help:    "Time that " + prefix + " operations take.",
			Buckets: buckets,
		}, labels)),
	}
}

// Observe records one finished operation.
func (r *RED) Observe(op string, took time.Duration, err error, labels ...string) {
	values := append(labels[:len(labels):len(labels)], op)
	r.total.WithLabelValues(values...).Inc()
	r.duration.WithLabelValues(values...).Observe(took.Seconds())
	// Asking for the series makes it appear with 0, so that rates have a beginning.
	failures := r.errors.WithLabelValues(values...)
	if err != nil {
		failures.Inc()
	}
}

// Start begins an operation and returns how to end it.
func (r *RED) Start(op string, labels ...string) (end func(err error)) {
	started := time.Now()
	return func(err error) { r.Observe(op, time.Since(started), err, labels...) }
}

// register registers a collector, or returns the equal one that is registered already.
func register[C prometheus.Collector](reg prometheus.Registerer, collector C) C {
	if reg == nil {
		return collector
	}
	err := reg.Register(collector)
	var exists prometheus.AlreadyRegisteredError
	if errors.As(err, &exists) {
		if same, ok := exists.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		panic(err)
	}
	return collector
}
