package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/open-executor/executor/internal/fault"
)

const (
	// sourceTimeout bounds each request to a further source (spec section 7.2).
	sourceTimeout = 2 * time.Second
	// maxSourceBytes bounds what a source may answer.
	maxSourceBytes = 16 << 20
	// registryInstance marks what comes from the registry mirror's machine.
	registryInstance = "docker-registry"
)

// Source is a Prometheus endpoint whose metrics go out with the executor's own.
type Source struct {
	URL *url.URL
	// Instance is set as label sg_instance on every metric; empty for none.
	Instance string
}

// Sources lists the endpoints behind NODE_EXPORTER_URL and DOCKER_REGISTRY_NODE_EXPORTER_URL, base URLs that may each be empty
// (spec section 7.2). Errors name the variable.
func Sources(nodeExporterURL, dockerRegistryURL string) ([]Source, error) {
	var sources []Source
	if nodeExporterURL != "" {
		base, err := parseBase("NODE_EXPORTER_URL", nodeExporterURL)
		if err != nil {
			return nil, err
		}
		sources = append(sources, Source{URL: base.JoinPath("metrics")})
	}
	if dockerRegistryURL != "" {
		base, err := parseBase("DOCKER_REGISTRY_NODE_EXPORTER_URL", dockerRegistryURL)
		if err != nil {
			return nil, err
		}
		for _, module := range []string{"registry", "node"} {
			proxied := base.JoinPath("proxy")
			proxied.RawQuery = url.Values{"module": {module}}.Encode()
			sources = append(sources, Source{URL: proxied, Instance: registryInstance})
		}
	}
	return sources, nil
}

func parseBase(variable, text string) (*url.URL, error) {
	base, err := url.Parse(text)
	if err != nil {
		// The parser's error repeats the text, which may hold a password.
		return nil, fault.Operatorf("%s is not a URL, want http://host:port", variable)
	}
	if base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fault.Operatorf("%s: want http://host:port, got %q", variable, base.Redacted())
	}
	return base, nil
}

// fetch asks a source. Families that describe the exporter itself are left out.
func (s Source) fetch(ctx context.Context, client *http.Client) (map[string]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("unexpected status code %d", response.StatusCode)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(http.MaxBytesReader(nil, response.Body, maxSourceBytes))
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	for name, family := range families {
		if describesExporter(name) {
			delete(families, name)
			continue
		}
		s.label(family)
	}
	return families, nil
}

func describesExporter(family string) bool {
	for _, prefix := range []string{"go_", "promhttp_", "process_"} {
		if strings.HasPrefix(family, prefix) {
			return true
		}
	}
	return false
}

func (s Source) label(family *dto.MetricFamily) {
	if s.Instance == "" {
		return
	}
	name := "sg_instance"
	for _, metric := range family.Metric {
		labels := make([]*dto.LabelPair, 0, len(metric.Label)+1)
		for _, label := range metric.Label {
			if label.GetName() != name {
				labels = append(labels, label)
			}
		}
		metric.Label = append(labels, &dto.LabelPair{Name: &name, Value: &s.Instance})
	}
}
