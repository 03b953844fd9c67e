package agent

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/metrics"
	"github.com/open-executor/executor/internal/queueclient"
	"github.com/open-executor/executor/internal/version"
)

// newQueueClient makes the frontend's client as the configuration says. Its metrics go to registry; the heartbeats carry what registry
// and the configured exporters have.
func newQueueClient(logger log.Logger, config executorconfig.Config, name string, telemetry api.Telemetry, registry *prometheus.Registry) (*queueclient.Client, error) {
	sources, err := metrics.Sources(config.Metrics.NodeExporterURL, config.Metrics.DockerRegistryNodeExporterURL)
	if err != nil {
		return nil, err
	}
	settings := queueclient.Config{
		Endpoint:     config.Frontend.URL,
		Token:        config.Frontend.Password.Reveal(),
		ExecutorName: name,
		Version:      version.Version(),
		NumCPUs:      config.Jobs.NumCPUs,
		Memory:       config.Jobs.Memory,
		DiskSpace:    config.Jobs.DiskSpace,
		Telemetry:    telemetry,
		Metrics:      metrics.NewExposition(logger.Scoped("metrics"), registry, sources).Text,
		Wait:         longPoll,
		Registerer:   registry,
	}
	if config.Queues.Multi {
		settings.Queues = config.Queues.Names
	} else {
		settings.Queue = config.Queues.Names[0]
	}
	return queueclient.New(logger.Scoped("executor-api-queue-client"), settings)
}
