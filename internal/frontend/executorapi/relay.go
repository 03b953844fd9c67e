package executorapi

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/sourcegraph/log"
)

// Bounds of what executors can make a frontend keep.
const (
	relayKeep      = 5 * time.Minute
	relayParallel  = 2
	relayMaxText   = 8 << 20
	relayMaxSeries = 50_000
	relayExecutors = 2_000
)

// Labels and values that the reference puts on relayed metrics (spec frontend A8).
const (
	labelInstance     = "sg_instance"
	labelJob          = "sg_job"
	jobExecutors      = "sourcegraph-executors"
	jobRegistry       = "sourcegraph-executors-registry"
	instanceOfAMirror = "docker-registry"
)

var _ prometheus.Gatherer = (*Relay)(nil)

// Relay keeps the metrics that executors send with their heartbeats and shows them to a Prometheus that can't reach the executors
// themselves. Each series is labelled with its executor (sg_instance) and its kind (sg_job). An executor's metrics are forgotten five
// minutes after its last heartbeat. Safe for concurrent use.
type Relay struct {
	logger log.Logger
	now    func() time.Time
	slots  chan struct{}
	tasks  sync.WaitGroup

	mu   sync.Mutex
	sets map[string]metricSet
}

type metricSet struct {
	receivedAt time.Time
	families   map[string]*dto.MetricFamily
}

// NewRelay makes an empty relay; now is time.Now outside tests.
func NewRelay(logger log.Logger, now func() time.Time) *Relay {
	return &Relay{
		logger: logger,
		now:    now,
		slots:  make(chan struct{}, relayParallel),
		sets:   make(map[string]metricSet),
	}
}

// Receive takes an executor's metrics in Prometheus' text format and parses them in the background, so that a heartbeat never waits. When it
// is busy it drops them: the next heartbeat brings newer ones.
func (r *Relay) Receive(executor, text string) {
	if len(text) > relayMaxText {
		r.logger.Warn("metrics dropped: too long", log.String("executor", executor), log.Int("bytes", len(text)))
		return
	}
	select {
	case r.slots <- struct{}{}:
	default:
		return
	}
	receivedAt := r.now()
	r.tasks.Go(func() {
		defer func() { <-r.slots }()
		families, err := parseMetrics(executor, text)
		if err != nil {
			r.logger.Warn("metrics dropped", log.String("executor", executor), log.Error(err))
			return
		}
		r.keep(executor, metricSet{receivedAt, families})
	})
}

// Wait returns when everything received so far is parsed.
func (r *Relay) Wait() { r.tasks.Wait() }

func (r *Relay) keep(executor string, set metricSet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgetOld()
	held, known := r.sets[executor]
	if known && held.receivedAt.After(set.receivedAt) || !known && len(r.sets) >= relayExecutors {
		return
	}
	r.sets[executor] = set
}

func (r *Relay) forgetOld() {
	oldest := r.now().Add(-relayKeep)
	maps.DeleteFunc(r.sets, func(_ string, set metricSet) bool { return set.receivedAt.Before(oldest) })
}

// Gather returns all executors' metrics merged. Where executors disagree about a family's type or repeat a series, the first one by name
// counts; it never fails.
func (r *Relay) Gather() ([]*dto.MetricFamily, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgetOld()
	merged := make(map[string]*dto.MetricFamily)
	seen := make(map[string]bool)
	for _, executor := range slices.Sorted(maps.Keys(r.sets)) {
		for name, family := range r.sets[executor].families {
			into, ok := merged[name]
			if !ok {
				into = &dto.MetricFamily{Name: family.Name, Help: family.Help, Type: family.Type, Unit: family.Unit}
				merged[name] = into
			}
			if into.GetType() != family.GetType() {
				continue
			}
			for _, metric := range family.Metric {
				if key := seriesKey(name, metric); !seen[key] {
					seen[key] = true
					into.Metric = append(into.Metric, metric)
				}
			}
		}
	}
	families := make([]*dto.MetricFamily, 0, len(merged))
	for _, name := range slices.Sorted(maps.Keys(merged)) {
		families = append(families, merged[name])
	}
	return families, nil
}

// parseMetrics reads an exposition and labels each series.
func parseMetrics(executor, text string) (map[string]*dto.MetricFamily, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	series := 0
	for _, family := range families {
		if series += len(family.Metric); series > relayMaxSeries {
			return nil, fmt.Errorf("more than %d series", relayMaxSeries)
		}
		for _, metric := range family.Metric {
			label(metric, executor)
		}
	}
	return families, nil
}

// label adds sg_instance, unless it is there already, and sg_job, and leaves each name once and in order.
func label(metric *dto.Metric, executor string) {
	labels := map[string]string{labelInstance: executor}
	for _, pair := range metric.Label {
		labels[pair.GetName()] = pair.GetValue()
	}
	labels[labelJob] = jobExecutors
	if labels[labelInstance] == instanceOfAMirror {
		labels[labelJob] = jobRegistry
	}
	metric.Label = metric.Label[:0]
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		value := labels[name]
		metric.Label = append(metric.Label, &dto.LabelPair{Name: &name, Value: &value})
	}
}

func seriesKey(name string, metric *dto.Metric) string {
	var key strings.Builder
	key.WriteString(name)
	for _, pair := range metric.Label {
		fmt.Fprintf(&key, "\x00%s\x00%s", pair.GetName(), pair.GetValue())
	}
	return key.String()
}
