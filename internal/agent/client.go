package agent

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/metrics"
	"github.com/open-executor/executor/internal/queueclient"
	"github.com/open-executor/executor/internal/version"
)

// newQueueClient makes the frontend's client as the configuration says. Its metrics go to registry; the heartbeats carry what registry
// and the configured exporters have. Release gives its connections back; the client is of no use after that.
func newQueueClient(logger log.Logger, config executorconfig.Config, name string, telemetry api.Telemetry, registry *prometheus.Registry) (client *queueclient.Client, release func(), err error) {
	sources, err := metrics.Sources(config.Metrics.NodeExporterURL, config.Metrics.DockerRegistryNodeExporterURL)
	if err != nil {
		return nil, nil, err
	}
	transport := newTransport(config.Jobs.Maximum)
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
		HTTP:         &http.Client{Transport: transport},
		Registerer:   registry,
	}
	if config.Queues.Multi {
		settings.Queues = config.Queues.Names
	} else {
		settings.Queue = config.Queues.Names[0]
	}
	client, err = queueclient.New(logger.Scoped("executor-api-queue-client"), settings)
	if err != nil {
		return nil, nil, err
	}
	return client, transport.CloseIdleConnections, nil
}

// newTransport keeps a connection for each of the calls that go on side by side: a job uploads its log while it is set up or reports, and the
// worker dequeues and sends heartbeats. net/http's own two per host would make a new connection for most of them.
func newTransport(slots int) *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 2*slots + 2
	transport.MaxIdleConns = transport.MaxIdleConnsPerHost
	return transport
}
