package api

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// HeartbeatV2 is the version that a single-queue heartbeat names.
const HeartbeatV2 = "V2"

// Telemetry is what an executor says of itself with each heartbeat.
type Telemetry struct {
	OS              string `json:"os"`
	Architecture    string `json:"architecture"`
	DockerVersion   string `json:"dockerVersion"`
	ExecutorVersion string `json:"executorVersion"`
	GitVersion      string `json:"gitVersion"`
	IgniteVersion   string `json:"igniteVersion"`
	SrcCliVersion   string `json:"srcCliVersion"`
	// PrometheusMetrics is the Prometheus text exposition of the executor's metrics.
	PrometheusMetrics string `json:"prometheusMetrics"`
}

// SingleQueueHeartbeat is the heartbeat of an executor of one queue. JobIDs encodes as null when no job runs.
type SingleQueueHeartbeat struct {
	Version      string  `json:"version"`
	ExecutorName string  `json:"executorName"`
	JobIDs       []int64 `json:"jobIds"`
	Telemetry
}

// MultiQueueHeartbeat is the heartbeat of an executor of several queues, and, with only ExecutorName (and, for several
// queues, QueueNames) set, the ping of either kind.
type MultiQueueHeartbeat struct {
	Version       string        `json:"version"`
	ExecutorName  string        `json:"executorName"`
	JobIDsByQueue []QueueJobIDs `json:"jobIdsByQueue,omitempty"`
	QueueNames    []string      `json:"queueNames,omitempty"`
	Telemetry
}

// QueueJobIDs are the running jobs of one queue.
type QueueJobIDs struct {
	QueueName string `json:"queueName"`
	JobIDs    IDs    `json:"jobIds"`
}

// HeartbeatRequest is what a frontend reads of either form.
type HeartbeatRequest struct {
	Version       string        `json:"version"`
	ExecutorName  string        `json:"executorName"`
	JobIDs        IDs           `json:"jobIds"`
	JobIDsByQueue []QueueJobIDs `json:"jobIdsByQueue"`
	QueueNames    []string      `json:"queueNames"`
	Telemetry
}

// HeartbeatResponse tells which of the named jobs are still the executor's, and which of them it should stop. Ids are
// plain for one queue and "<id>-<queue>" for several.
type HeartbeatResponse struct {
	KnownIDs  IDs `json:"knownIds"`
	CancelIDs IDs `json:"cancelIds"`
}

// IDs is a list of job ids. On the wire each may be a string or a number; numbers become plain decimal text. It encodes as
// strings.
type IDs []string

// UnmarshalJSON accepts strings and integers, mixed; anything else is an error.
func (ids *IDs) UnmarshalJSON(data []byte) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	var list IDs
	if raw != nil {
		list = make(IDs, 0, len(raw))
	}
	for i, element := range raw {
		id, err := decodeID(element)
		if err != nil {
			return fmt.Errorf("id %d: %w", i, err)
		}
		list = append(list, id)
	}
	*ids = list
	return nil
}

func decodeID(raw json.RawMessage) (string, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return "", err
	}
	switch value := value.(type) {
	case string:
		return value, nil
	case json.Number:
		return plainInteger(value)
	}
	return "", fmt.Errorf("want a string or an integer, got %s", raw)
}
