package worker

import (
	"context"
	"slices"
	"sync"

	"github.com/open-executor/executor/internal/runtime"
)

// running is the set of jobs that hold a slot, by UID.
type running struct {
	mu   sync.Mutex
	jobs map[string]*runningJob
}

// runningJob is one of them.
type runningJob struct {
	cancel context.CancelCauseFunc
	// gone is closed when the job has left the set.
	gone chan struct{}
	// lost is set once the frontend no longer knows the job.
	lost bool
	// replaced is set once a later attempt of the job waits for this one to be gone. The lease is the later one's then: it is
	// still renewed, but this one's result is nobody's any more.
	replaced bool
	// ending is set while the job's end is being reported: the frontend may forget it at any moment then.
	ending bool
}

func newRunning() *running { return &running{jobs: make(map[string]*runningJob)} }

// add puts the job in, or returns the one that has the same UID, which is replaced from then on.
func (r *running) add(uid string, cancel context.CancelCauseFunc) (job, earlier *runningJob) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if earlier, ok := r.jobs[uid]; ok {
		earlier.replaced = true
		return nil, earlier
	}
	job = &runningJob{cancel: cancel, gone: make(chan struct{})}
	r.jobs[uid] = job
	return job, nil
}

func (r *running) remove(uid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.jobs[uid].gone)
	delete(r.jobs, uid)
}

// end marks the job as about to be reported, or returns false when its lease is lost or a later attempt's.
func (r *running) end(job *runningJob) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	job.ending = !job.lost && !job.replaced
	return job.ending
}

func (r *running) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.jobs)
}

// uids lists the jobs whose leases are to be renewed, sorted. A lost job isn't this executor's any more, unless it has been given to it again.
func (r *running) uids() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	uids := make([]string, 0, len(r.jobs))
	for uid, job := range r.jobs {
		if !job.lost || job.replaced {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids
}

// apply acts on a heartbeat's answer about the jobs that were asked for; jobs that began since are left alone.
func (r *running) apply(asked, known, stop []string) (lost, stopped []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, uid := range asked {
		job, ok := r.jobs[uid]
		if !ok || job.lost || job.ending {
			continue
		}
		switch {
		case !slices.Contains(known, uid):
			job.lost = true
			job.cancel(runtime.ErrLeaseLost)
			lost = append(lost, uid)
		case slices.Contains(stop, uid):
			job.cancel(runtime.ErrCanceled)
			stopped = append(stopped, uid)
		}
	}
	return lost, stopped
}
