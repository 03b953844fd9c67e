package queueclient

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
)

const (
	// heartbeatTimeout must stay well below the time after which frontends count leases as lost.
	heartbeatTimeout = 15 * time.Second
	// heartbeatHold is how long a frontend that can may hold the answer while nothing is to be stopped.
	heartbeatHold  = 5 * time.Second
	metricsTimeout = 3 * time.Second
)

// Heartbeat renews the leases of running jobs, named by their UIDs (api.Job.UID), and tells which of them are still this executor's
// (known) and which it should stop. With frontends that hold heartbeats it may take some seconds longer. Both answers are subsets of uids. An answer that can't be understood is an error and
// says nothing about any job.
func (c *Client) Heartbeat(ctx context.Context, uids []string) (known, cancel []string, err error) {
	running, err := parseUIDs(uids)
	if err != nil {
		return nil, nil, fmt.Errorf("heartbeat: %w", err)
	}
	body, err := c.heartbeatBody(running, c.metrics(ctx))
	if err != nil {
		return nil, nil, fmt.Errorf("heartbeat: %w", err)
	}
	call := call{
		op: "Heartbeat", red: c.queueCalls, what: "heartbeat",
		method:  http.MethodPost,
		path:    c.instancePath("heartbeat"),
		body:    body,
		timeout: heartbeatTimeout,
		limit:   maxHeartbeatBytes,
	}
	if len(running) > 0 && c.HoldsHeartbeats() {
		call.header = preferWait(heartbeatHold)
		call.timeout += heartbeatHold
	}
	got, err := c.exchange(ctx, call)
	if err != nil {
		return nil, nil, err
	}
	response, err := parseHeartbeat(got)
	if err == nil {
		known, err = c.translate(running, response.KnownIDs)
	}
	if err == nil {
		cancel, err = c.translate(running, response.CancelIDs)
	}
	if err != nil {
		return nil, nil, fault.Infrastructuref("heartbeat: malformed answer: %w", err)
	}
	return known, cancel, nil
}

// Ping asks the frontend for a sign of life; the executor is known to it from then on.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.exchange(ctx, call{
		what:   "ping",
		method: http.MethodPost,
		path:   c.instancePath("heartbeat"),
		// A ping has the form for several queues, whichever the client serves.
		body:    api.MultiQueueHeartbeat{ExecutorName: c.config.ExecutorName, QueueNames: c.config.Queues},
		timeout: heartbeatTimeout,
		limit:   maxHeartbeatBytes,
	})
	return err
}

// lease is a running job as it was named.
type lease struct {
	uid   string
	id    int64
	queue string
}

func parseUIDs(uids []string) ([]lease, error) {
	leases := make([]lease, 0, len(uids))
	for _, uid := range uids {
		id, queue, err := api.ParseUID(uid)
		if err != nil {
			return nil, err
		}
		leases = append(leases, lease{uid, id, queue})
	}
	slices.SortFunc(leases, func(a, b lease) int { return cmp.Or(cmp.Compare(a.queue, b.queue), cmp.Compare(a.id, b.id)) })
	return leases, nil
}

func (c *Client) heartbeatBody(running []lease, metrics string) (any, error) {
	telemetry := c.config.Telemetry
	telemetry.PrometheusMetrics = metrics
	if !c.several() {
		body := api.SingleQueueHeartbeat{Version: api.HeartbeatV2, ExecutorName: c.config.ExecutorName, Telemetry: telemetry}
		for _, lease := range running {
			body.JobIDs = append(body.JobIDs, lease.id)
		}
		return body, nil
	}
	byQueue := make(map[string]api.IDs)
	for _, lease := range running {
		if lease.queue == "" {
			return nil, fmt.Errorf("job %s has no queue, but several are served", lease.uid)
		}
		byQueue[lease.queue] = append(byQueue[lease.queue], strconv.FormatInt(lease.id, 10))
	}
	body := api.MultiQueueHeartbeat{ExecutorName: c.config.ExecutorName, QueueNames: c.config.Queues, Telemetry: telemetry}
	for _, queue := range slices.Sorted(maps.Keys(byQueue)) {
		body.JobIDsByQueue = append(body.JobIDsByQueue, api.QueueJobIDs{QueueName: queue, JobIDs: byQueue[queue]})
	}
	return body, nil
}

// parseHeartbeat reads an answer strictly: taking something else for one would end every running job. Either list may be null or
// absent; an object that has neither, but other members, is not an answer to a heartbeat.
func parseHeartbeat(got answer) (api.HeartbeatResponse, error) {
	var response api.HeartbeatResponse
	if got.status == http.StatusNoContent {
		return response, errors.New("it has no content")
	}
	members := map[string]json.RawMessage{}
	if !bytes.HasPrefix(bytes.TrimSpace(got.body), []byte("{")) {
		return response, errors.New("it is not a JSON object")
	}
	if err := json.Unmarshal(got.body, &members); err != nil {
		return response, err
	}
	recognised := len(members) == 0
	for name := range members {
		recognised = recognised || strings.EqualFold(name, "knownIds") || strings.EqualFold(name, "cancelIds")
	}
	if !recognised {
		return response, errors.New("it has neither knownIds nor cancelIds")
	}
	return response, json.Unmarshal(got.body, &response)
}

// translate finds the UIDs of the jobs that an answer names. Jobs that were not asked about are passed over.
func (c *Client) translate(running []lease, ids api.IDs) ([]string, error) {
	named := make(map[lease]bool, len(ids))
	for _, text := range ids {
		id, queue, err := api.ParseUID(text)
		if err != nil {
			return nil, err
		}
		if !c.several() {
			// Of one queue the id says everything, whether a queue stands beside it here, there, or nowhere.
			queue = ""
		} else if queue == "" {
			return nil, fmt.Errorf("id %q names no queue, but several are served", text)
		}
		named[lease{id: id, queue: queue}] = true
	}
	uids := []string{}
	for _, job := range running {
		key := lease{id: job.id, queue: job.queue}
		if !c.several() {
			key.queue = ""
		}
		if named[key] {
			uids = append(uids, job.uid)
		}
	}
	return uids, nil
}

// metrics renders the metrics, or returns an empty text when that takes too long: metrics must never cost a lease.
func (c *Client) metrics(ctx context.Context) string {
	if c.config.Metrics == nil {
		return ""
	}
	select {
	case c.gathering <- struct{}{}:
	default:
		c.logger.Warn("metrics of an earlier heartbeat are still being gathered, sending none")
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, metricsTimeout)
	rendered := make(chan string, 1)
	go func() {
		defer func() { <-c.gathering }()
		defer cancel()
		rendered <- c.config.Metrics(ctx)
	}()
	select {
	case text := <-rendered:
		return text
	case <-ctx.Done():
	}
	// Both may have happened at once.
	select {
	case text := <-rendered:
		return text
	default:
		c.logger.Warn("gathering metrics takes too long, sending none")
		return ""
	}
}
