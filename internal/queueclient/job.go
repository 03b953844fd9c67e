package queueclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
)

// entryTimeout bounds calls about log entries: an entry may hold a hundred megabytes.
const entryTimeout = time.Minute

// JobClient is the frontend as one job sees it: the place of its log and its files. Safe for concurrent use.
type JobClient struct {
	client *Client
	job    *api.Job
}

// ForJob returns the client of one job. It uses the job's token, and the shared one only when the job has none.
func (c *Client) ForJob(job api.Job) *JobClient { return &JobClient{c, &job} }

// extensionIdempotentLog names the ability to recognise an addition that is repeated (docs/protocol.md).
const extensionIdempotentLog = "idempotent-log"

// AddEntry appends an entry to the job's log and returns its id. It is not repeated here: the frontend may have stored an entry
// whose id didn't arrive. One with our extension recognises the repetition by key and start time, others store the entry again.
func (j *JobClient) AddEntry(ctx context.Context, entry api.ExecutionLogEntry) (int, error) {
	call := j.client.jobCall("AddExecutionLogEntry", j.job, "addExecutionLogEntry", api.AddExecutionLogEntryRequest{
		JobOperation: j.client.operation(j.job), ExecutionLogEntry: entry,
	})
	call.timeout = entryTimeout
	if j.client.Extensions().Has(extensionIdempotentLog) {
		call.header = http.Header{"Idempotency-Key": {fmt.Sprintf("%s@%d", entry.Key, entry.StartTime.UnixNano())}}
	}
	got, err := j.client.exchange(ctx, call)
	if err != nil {
		return 0, err
	}
	var id *int
	if err := json.Unmarshal(got.body, &id); err != nil || id == nil {
		return 0, fault.Infrastructuref("%s: want the id of the entry as answer, got status code %d and %q", call.what, got.status, j.client.shown(call, got.body))
	}
	return *id, nil
}

// UpdateEntry replaces an entry that AddEntry returned id for. Repeating it is harmless.
func (j *JobClient) UpdateEntry(ctx context.Context, id int, entry api.ExecutionLogEntry) error {
	call := j.client.jobCall("UpdateExecutionLogEntry", j.job, "updateExecutionLogEntry", api.UpdateExecutionLogEntryRequest{
		JobOperation: j.client.operation(j.job), EntryID: id, ExecutionLogEntry: entry,
	})
	call.timeout = entryTimeout
	_, err := j.client.exchange(ctx, call)
	return err
}

func (c *Client) operation(job *api.Job) api.JobOperation {
	return api.JobOperation{ExecutorName: c.config.ExecutorName, JobID: job.ID}
}

// jobCall is a call to a queue's endpoint about one job; the caller sets its timeout.
func (c *Client) jobCall(op string, job *api.Job, endpoint string, body any) call {
	queue := job.Queue
	if queue == "" {
		queue = c.config.Queue
	}
	return call{
		op: op, red: c.queueCalls, what: endpoint,
		method: http.MethodPost,
		path:   []string{".executors", "queue", queue, endpoint},
		job:    job,
		leased: true,
		body:   body,
		limit:  maxSmallBytes,
	}
}
