package frontendtest

import (
	"slices"

	"github.com/open-executor/executor/internal/api"
)

type state int

const (
	queued state = iota
	processing
	ended
	forgotten
)

// job is a job and its one attempt. Guarded by the frontend's lock.
type job struct {
	api.Job
	state state
	// executor holds, or held, the lease.
	executor string
	// token is what the job's calls must show; empty when there is no lease.
	token   string
	cancel  bool
	entries []api.ExecutionLogEntry
	report  api.Report
}

// heldBy reports whether the executor has the job's lease.
func (j *job) heldBy(executor string) bool { return j.state == processing && j.executor == executor }

func (f *Frontend) find(id int64) *job {
	at := slices.IndexFunc(f.jobs, func(job *job) bool { return job.ID == id })
	if at < 0 {
		return nil
	}
	return f.jobs[at]
}

func (f *Frontend) nextID() int64 {
	id := int64(1)
	for _, job := range f.jobs {
		id = max(id, job.ID+1)
	}
	return id
}

// take leases the first queued job of the queues.
func (f *Frontend) take(queues []string, executor, token string) *job {
	for _, job := range f.jobs {
		if job.state == queued && slices.Contains(queues, job.Queue) {
			job.state, job.executor, job.token = processing, executor, token
			if job.Token != "" {
				job.token = job.Token
			}
			return job
		}
	}
	return nil
}
