// Package queueclient speaks the executor API: one client for our frontend and for Sourcegraph's (spec section 3).
//
// Every call is bounded in time and in what it reads. Errors carry a class of package fault and never a token: operator errors
// name the variable to mend, infrastructure errors may pass, user errors are final refusals. Calls about a job that is not this
// executor's any more fail with ErrLeaseLost.
package queueclient

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/metrics"
)

// Config says which frontend to speak to, and as whom.
type Config struct {
	// Endpoint is the frontend's base URL; its path is kept before all paths of the API.
	Endpoint *url.URL
	// Token is the shared token: EXECUTOR_FRONTEND_PASSWORD here, executors.accessToken there.
	Token        string
	ExecutorName string
	// Queue is the one queue, Queues are several. Exactly one of the two is set.
	Queue  string
	Queues []string
	// Version is this build's version; the frontend decides by it which job payload it sends.
	Version string
	// NumCPUs, Memory ("12G") and DiskSpace ("20G") are what one job may use.
	NumCPUs   int
	Memory    string
	DiskSpace string
	// Telemetry goes out with each heartbeat; its PrometheusMetrics come from Metrics.
	Telemetry api.Telemetry
	// Metrics renders metrics as Prometheus text, once a heartbeat; nil for none. A call that takes longer than 3 s is not waited for, and
	// while it goes on no further one begins: heartbeats then go out without metrics.
	Metrics func(ctx context.Context) string
	// Wait asks the frontend to hold a dequeue for that long when there is no job; 0 for an answer at once. It is rounded down to
	// seconds. Frontends that don't know long polls answer at once anyway.
	Wait time.Duration
	// HTTP makes the requests; http.DefaultTransport does when nil. Its redirect policy and timeout are
	// replaced.
	HTTP *http.Client
	// Registerer takes the client's own metrics; nil for none.
	Registerer prometheus.Registerer
}

// Client is safe for concurrent use.
type Client struct {
	logger log.Logger
	config Config
	http   *http.Client
	// queueCalls and fileCalls meter the two parts of the API.
	queueCalls, fileCalls *metrics.RED
	// gathering is full while Config.Metrics runs.
	gathering chan struct{}
	clock     clock

	mu sync.Mutex
	// extensions is guarded by mu.
	extensions Extensions
}

// Extensions is what a frontend said it can do beyond the reference's protocol.
type Extensions struct {
	// Names are those of the response header Executor-Extensions, "log-chunks" for example.
	Names []string
	// LongPoll is set when the frontend holds dequeues open.
	LongPoll bool
}

// Has reports whether the frontend named an extension.
func (e Extensions) Has(name string) bool { return slices.Contains(e.Names, name) }

// New makes a client. It sends nothing.
func New(logger log.Logger, config Config) (*Client, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	endpoint := *config.Endpoint
	// The Authorization header is ours; credentials in the URL could only end up in errors.
	endpoint.User, endpoint.RawQuery, endpoint.Fragment = nil, "", ""
	config.Endpoint = &endpoint
	client := http.Client{}
	if config.HTTP != nil {
		client = *config.HTTP
	}
	client.CheckRedirect = checkRedirect
	// Every call bounds itself, and a bound on all alike would cut long polls and files.
	client.Timeout = 0
	return &Client{
		logger:     logger,
		config:     config,
		http:       &client,
		queueCalls: metrics.NewRED(config.Registerer, "apiworker_apiclient_queue"),
		fileCalls:  metrics.NewRED(config.Registerer, "apiworker_apiclient_files"),
		gathering:  make(chan struct{}, 1),
		clock:      realClock{},
	}, nil
}

func (config Config) validate() error {
	switch {
	case config.Endpoint == nil:
		return fault.Operatorf("EXECUTOR_FRONTEND_URL is not set")
	case config.Endpoint.Scheme != "http" && config.Endpoint.Scheme != "https" || config.Endpoint.Host == "":
		return fault.Operatorf("EXECUTOR_FRONTEND_URL: want http(s)://host[:port], got %q", config.Endpoint.Redacted())
	case config.Token == "":
		return fault.Operatorf("EXECUTOR_FRONTEND_PASSWORD is not set")
	case config.ExecutorName == "":
		return fault.Operatorf("the executor has no name: set HOSTNAME")
	case (config.Queue == "") == (len(config.Queues) == 0):
		return fault.Operatorf("set exactly one of EXECUTOR_QUEUE_NAME and EXECUTOR_QUEUE_NAMES")
	case slices.Contains(config.Queues, ""):
		return fault.Operatorf("EXECUTOR_QUEUE_NAMES has an empty name: %q", strings.Join(config.Queues, ","))
	}
	return nil
}

// Extensions returns what the frontend said in its latest answers to a dequeue, heartbeat or ping; the zero value before that, and
// for frontends that say nothing.
func (c *Client) Extensions() Extensions {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.extensions
}

// HoldsHeartbeats reports whether the frontend holds the answer to a heartbeat for as long as there is nothing to say, so that a
// cancel arrives at once.
func (c *Client) HoldsHeartbeats() bool { return c.Extensions().Has(extensionHeartbeatWait) }

// extensionHeartbeatWait names that ability (docs/protocol.md).
const extensionHeartbeatWait = "heartbeat-wait"

// learn reads what the frontend says of itself beside the answer to a dequeue: only those ask.
func (c *Client) learn(header http.Header) {
	names := splitList(header.Values("Executor-Extensions"))
	longPoll := slices.ContainsFunc(splitList(header.Values("Preference-Applied")), func(preference string) bool {
		name, _, _ := strings.Cut(preference, "=")
		return strings.TrimSpace(name) == "wait"
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.extensions = Extensions{Names: names, LongPoll: longPoll}
}

// splitList splits a header's comma-separated values, in lower case.
func splitList(values []string) []string {
	var list []string
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			if part = strings.ToLower(strings.TrimSpace(part)); part != "" {
				list = append(list, part)
			}
		}
	}
	return list
}

// several reports whether the client serves several queues.
func (c *Client) several() bool { return c.config.Queue == "" }
