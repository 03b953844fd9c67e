package metrics

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/sourcegraph/log"
)

// Exposition renders metrics in Prometheus' text format. Safe for concurrent use.
type Exposition struct {
	logger  log.Logger
	own     prometheus.Gatherer
	sources []Source
	client  *http.Client

	mu sync.Mutex
	// failing holds the sources that failed last time, so that a lasting failure is told once.
	failing map[Source]bool
}

// NewExposition renders what own gathers and what the sources answer.
func NewExposition(logger log.Logger, own prometheus.Gatherer, sources []Source) *Exposition {
	return &Exposition{
		logger:  logger,
		own:     own,
		sources: sources,
		client:  &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}},
		failing: make(map[Source]bool),
	}
}

// Text gathers everything at once and renders it, families in the order of their names. Sources are given 2 s each, all at the
// same time, and less when ctx ends earlier; those that fail are left out and logged. It is empty when nothing could be
// gathered.
func (e *Exposition) Text(ctx context.Context) string {
	answers := make([]map[string]*dto.MetricFamily, len(e.sources))
	var fetching sync.WaitGroup
	for i, source := range e.sources {
		fetching.Go(func() {
			families, err := source.fetch(ctx, e.client)
			e.note(source, err)
			answers[i] = families
		})
	}
	merged := make(map[string]*dto.MetricFamily)
	own, err := e.own.Gather()
	if err != nil {
		// Gather returns what it could get beside the error.
		e.logger.Warn("some metrics could not be gathered", log.Error(err))
	}
	for _, family := range own {
		merge(merged, family)
	}
	fetching.Wait()
	for _, families := range answers {
		for _, name := range slices.Sorted(maps.Keys(families)) {
			merge(merged, families[name])
		}
	}
	return e.render(merged)
}

// merge adds a family. A name stands for one family in the text format: metrics of one name and type come together, and of
// two types the first counts. Families of own gatherers are shared and never changed.
func merge(into map[string]*dto.MetricFamily, family *dto.MetricFamily) {
	present, ok := into[family.GetName()]
	switch {
	case !ok:
		into[family.GetName()] = family
	case present.GetType() == family.GetType():
		into[family.GetName()] = &dto.MetricFamily{
			Name: present.Name, Help: present.Help, Type: present.Type, Unit: present.Unit,
			Metric: slices.Concat(present.Metric, family.Metric),
		}
	}
}

func (e *Exposition) render(families map[string]*dto.MetricFamily) string {
	var out bytes.Buffer
	encoder := expfmt.NewEncoder(&out, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, name := range slices.Sorted(maps.Keys(families)) {
		before := out.Len()
		if err := encoder.Encode(families[name]); err != nil {
			out.Truncate(before)
			e.logger.Warn("metric could not be rendered", log.String("name", name), log.Error(err))
		}
	}
	return out.String()
}

func (e *Exposition) note(source Source, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.failing[source]
	e.failing[source] = err != nil
	switch {
	case err != nil && !before:
		e.logger.Warn("metrics source does not answer, leaving its metrics out", log.String("url", source.URL.Redacted()), log.Error(err))
	case err == nil && before:
		e.logger.Info("metrics source answers again", log.String("url", source.URL.Redacted()))
	}
}
