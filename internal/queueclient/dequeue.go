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

// dequeueMargin is how long a dequeue may take beyond the wait it asks for: a job with its files may come over a slow line,
// and aborting it would lose the job until its lease ends.
const dequeueMargin = time.Minute

// Dequeue asks for a job and returns false when there is none. A done context aborts it; a job that the frontend was just
// handing out is then lost to this executor until its lease ends.
func (c *Client) Dequeue(ctx context.Context) (api.Job, bool, error) {
	wait := c.config.Wait.Truncate(time.Second)
	call := call{
		op: "Dequeue", red: c.queueCalls, what: "dequeue",
		method:  http.MethodPost,
		path:    c.instancePath("dequeue"),
		timeout: wait + dequeueMargin,
		limit:   maxJobBytes,
		body: api.DequeueRequest{
			Queues:       c.config.Queues,
			ExecutorName: c.config.ExecutorName,
			Version:      c.config.Version,
			NumCPUs:      c.config.NumCPUs,
			Memory:       c.config.Memory,
			DiskSpace:    c.config.DiskSpace,
		},
	}
	if wait > 0 {
		call.header = preferWait(wait)
	}
	got, err := c.exchange(ctx, call)
	if err != nil {
		return api.Job{}, false, err
	}
	c.learn(got.header)
	if got.status == http.StatusNoContent {
		return api.Job{}, false, nil
	}
	var job api.Job
	if err := json.Unmarshal(got.body, &job); err != nil {
		return api.Job{}, false, fault.Infrastructuref("dequeue: the frontend sent a malformed job: %w", err)
	}
	if job.ID <= 0 || c.several() && job.Queue == "" {
		return api.Job{}, false, fault.Infrastructuref("dequeue: the frontend sent a job without an id or without its queue: id %d, queue %q", job.ID, job.Queue)
	}
	return job, true, nil
}

// preferWait is the wish to wait that long for an answer, in whole seconds (RFC 7240).
func preferWait(wait time.Duration) http.Header {
	return http.Header{"Prefer": {fmt.Sprintf("wait=%d", wait/time.Second)}}
}

// instancePath is where calls about the executor as a whole go.
func (c *Client) instancePath(endpoint string) []string {
	if c.several() {
		return []string{".executors", "queue", endpoint}
	}
	return []string{".executors", "queue", c.config.Queue, endpoint}
}
