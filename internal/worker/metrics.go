package worker

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/open-executor/executor/internal/metrics"
)

// Metrics counts jobs under the names of spec section 7.1. A nil *Metrics counts nothing.
type Metrics struct {
	red   *metrics.RED
	queue string
	peak  *peak
}

// processorBuckets are the histogram's bounds in seconds: jobs take minutes.
var processorBuckets = []float64{30, 60, 150, 300, 450, 600, 900, 1200, 1800, 2700, 3600}

// NewMetrics registers the worker's metrics. Queue is the value of their label: the queue's name, or several joined by "_".
func NewMetrics(reg prometheus.Registerer, queue string) *Metrics {
	m := &Metrics{
		red:   metrics.NewREDWithBuckets(reg, "executor_processor", processorBuckets, "queue"),
		queue: queue,
		peak:  &peak{},
	}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "src_executor_processor_handlers",
		Help:        "Jobs that run, at most, within the last five seconds.",
		ConstLabels: prometheus.Labels{"queue": queue},
	}, func() float64 { return float64(m.peak.value(time.Now())) }))
	return m
}

// handling counts a job that begins and returns how to end it.
func (m *Metrics) handling() (end func(error)) {
	if m == nil {
		return func(error) {}
	}
	m.peak.add(time.Now(), 1)
	observe := m.red.Start("Handle", m.queue)
	return func(err error) {
		observe(err)
		m.peak.add(time.Now(), -1)
	}
}

// peakWindow is how far back a peak is seen.
const peakWindow = 5 * time.Second

// peak is a number and the largest value that it had within the last window: a job that is shorter than the time between two
// scrapes still shows.
type peak struct {
	mu      sync.Mutex
	now     int
	history []peakSample
}

// peakSample says that the number was value until the time.
type peakSample struct {
	until time.Time
	value int
}

func (p *peak) add(at time.Time, change int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(at)
	p.history = append(p.history, peakSample{until: at, value: p.now})
	p.now += change
}

func (p *peak) value(at time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(at)
	largest := p.now
	for _, sample := range p.history {
		largest = max(largest, sample.value)
	}
	return largest
}

func (p *peak) forget(at time.Time) {
	first := 0
	for first < len(p.history) && at.Sub(p.history[first].until) > peakWindow {
		first++
	}
	p.history = p.history[first:]
}
