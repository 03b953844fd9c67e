package apiclient

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/jobfile"
)

// Submit submits a job. When it fails with an UnreachableError, the job may have been stored nevertheless.
func (c *Client) Submit(ctx context.Context, spec jobs.Spec) (job jobs.Job, err error) {
	body, err := jobfile.Marshal(spec)
	if err != nil {
		return job, err
	}
	return job, c.do(ctx, http.MethodPost, "/jobs", body, &job)
}

// Job returns a job with its attempts and their entries.
func (c *Client) Job(ctx context.Context, id int64) (job jobs.Job, err error) {
	return job, c.do(ctx, http.MethodGet, jobPath(id), nil, &job)
}

// Cancel asks for a job to stop.
func (c *Client) Cancel(ctx context.Context, id int64) (job jobs.Job, err error) {
	return job, c.do(ctx, http.MethodPost, jobPath(id)+"/cancel", nil, &job)
}

// Retry submits a copy of a job that is over, and returns it.
func (c *Client) Retry(ctx context.Context, id int64) (job jobs.Job, err error) {
	return job, c.do(ctx, http.MethodPost, jobPath(id)+"/retry", nil, &job)
}

// Filter selects jobs; zero members select everything.
type Filter struct {
	Queue  string
	States []string
	// Limit is the size of a page; 0 leaves it to the frontend.
	Limit int
	// Cursor is the member Next of the page before.
	Cursor string
}

// List returns one page of jobs, newest first.
func (c *Client) List(ctx context.Context, filter Filter) (list jobs.JobList, err error) {
	query := url.Values{}
	if filter.Queue != "" {
		query.Set("queue", filter.Queue)
	}
	for _, state := range filter.States {
		query.Add("state", state)
	}
	if filter.Limit != 0 {
		query.Set("limit", strconv.Itoa(filter.Limit))
	}
	if filter.Cursor != "" {
		query.Set("cursor", filter.Cursor)
	}
	return list, c.do(ctx, http.MethodGet, "/jobs?"+query.Encode(), nil, &list)
}

// Executors returns all executors that the frontend has heard of.
func (c *Client) Executors(ctx context.Context) (list []jobs.Executor, err error) {
	return list, c.do(ctx, http.MethodGet, "/executors", nil, &list)
}

// Queues returns all queues.
func (c *Client) Queues(ctx context.Context) (list []jobs.Queue, err error) {
	return list, c.do(ctx, http.MethodGet, "/queues", nil, &list)
}

// Log writes to w the bytes that an attempt's log has now; attempt 0 is the last one.
func (c *Client) Log(ctx context.Context, id int64, attempt int, w io.Writer) error {
	path := jobPath(id) + "/logs"
	if attempt != 0 {
		path += "?attempt=" + strconv.Itoa(attempt)
	}
	got, err := c.send(ctx, http.MethodGet, path, nil, http.Header{"Accept": {"text/plain"}})
	if err != nil {
		return err
	}
	defer got.Body.Close()
	if !isType(got, "text/plain") {
		return foreign(got)
	}
	body := &reading{Reader: got.Body}
	if _, err := io.Copy(w, body); err != nil && body.err != nil {
		return c.unreachable(ctx, body.err)
	} else if err != nil {
		return err
	}
	return nil
}

// reading remembers why reading failed, to tell it from why writing did.
type reading struct {
	io.Reader
	err error
}

func (r *reading) Read(p []byte) (n int, err error) {
	n, err = r.Reader.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

func jobPath(id int64) string { return fmt.Sprintf("/jobs/%d", id) }
