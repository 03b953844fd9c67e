package executorapi

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
)

// memory is a store of just what the handler asks for, without a clock: tests let leases expire by hand.
type memory struct {
	mu        sync.Mutex
	jobs      []*held
	executors map[string]store.Executor
	broken    error
}

type held struct {
	store.Job
	attempt int
	hash    [32]byte
	entries []api.ExecutionLogEntry
	outcome store.Outcome
}

func newMemory(specs ...jobs.Spec) *memory {
	m := &memory{executors: make(map[string]store.Executor)}
	for _, spec := range specs {
		m.submit(spec)
	}
	return m
}

func (m *memory) submit(spec jobs.Spec) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := int64(len(m.jobs) + 42)
	m.jobs = append(m.jobs, &held{Job: store.Job{ID: id, Queue: spec.Queue, State: jobs.Queued, Spec: spec}})
	return id
}

func (m *memory) find(id int64) *held {
	for _, job := range m.jobs {
		if job.ID == id {
			return job
		}
	}
	return nil
}

// job returns a copy of what is held.
func (m *memory) job(id int64) held {
	m.mu.Lock()
	defer m.mu.Unlock()
	return *m.find(id)
}

// change runs f on the job under the lock.
func (m *memory) change(id int64, f func(*held)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m.find(id))
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = err
}

func (m *memory) Lease(ctx context.Context, request store.LeaseRequest) (store.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return store.Lease{}, m.broken
	}
	for _, queue := range request.Queues {
		for _, job := range m.jobs {
			if job.Queue == queue && job.State == jobs.Queued {
				job.State, job.Executor, job.hash = jobs.Processing, request.Executor, request.TokenHash
				job.attempt++
				return job.lease(), nil
			}
		}
	}
	return store.Lease{}, store.ErrEmpty
}

func (j *held) lease() store.Lease {
	return store.Lease{JobID: j.ID, Queue: j.Queue, Attempt: j.attempt, Executor: j.Executor, Spec: j.Spec}
}

func (m *memory) Renew(_ context.Context, executor string, ids []int64) (known, stop []int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, job := range m.jobs {
		if slices.Contains(ids, job.ID) && job.State == jobs.Processing && job.Executor == executor {
			known = append(known, job.ID)
			if job.Cancel {
				stop = append(stop, job.ID)
			}
		}
	}
	return known, stop, m.broken
}

func (m *memory) holds(holder store.Holder) (*held, error) {
	if m.broken != nil {
		return nil, m.broken
	}
	job := m.find(holder.JobID)
	if job == nil || job.State != jobs.Processing || job.Executor != holder.Executor || job.Queue != holder.Queue ||
		holder.Attempt != 0 && holder.Attempt != job.attempt {
		return nil, store.ErrLeaseLost
	}
	return job, nil
}

func (m *memory) Finish(_ context.Context, holder store.Holder, outcome store.Outcome) (store.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	job, err := m.holds(holder)
	if err != nil {
		return store.Job{}, err
	}
	job.outcome = outcome
	job.State = map[store.Result]jobs.State{store.Complete: jobs.Completed, store.Errored: jobs.Queued, store.Fail: jobs.Failed}[outcome.Result]
	return job.Job, nil
}

func (m *memory) Token(_ context.Context, hash [32]byte) (store.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return store.Lease{}, m.broken
	}
	for _, job := range m.jobs {
		if job.State == jobs.Processing && job.hash == hash {
			return job.lease(), nil
		}
	}
	return store.Lease{}, store.ErrNotFound
}

func (m *memory) AddEntry(_ context.Context, holder store.Holder, entry api.ExecutionLogEntry) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	job, err := m.holds(holder)
	if err != nil {
		return 0, err
	}
	job.entries = append(job.entries, entry)
	return len(job.entries), nil
}

func (m *memory) Entries(_ context.Context, jobID int64, _ int) ([]jobs.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	job := m.find(jobID)
	if job == nil {
		return nil, store.ErrNotFound
	}
	var entries []jobs.Entry
	for i, entry := range job.entries {
		// As stores do, it keeps microseconds only.
		entries = append(entries, jobs.Entry{ID: i + 1, Key: entry.Key, StartedAt: entry.StartTime.Truncate(time.Microsecond)})
	}
	return entries, m.broken
}

func (m *memory) UpdateEntry(_ context.Context, holder store.Holder, id int, entry api.ExecutionLogEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	job, err := m.holds(holder)
	if err != nil {
		return err
	}
	if id < 1 || id > len(job.entries) {
		return store.ErrNoEntry
	}
	job.entries[id-1] = entry
	return nil
}

func (m *memory) Seen(_ context.Context, executor store.Executor) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if executor.Name == "unrecordable" {
		return errors.New("no room for executors")
	}
	m.executors[executor.Name] = executor
	return nil
}

func (m *memory) Executors(context.Context) ([]store.Executor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []store.Executor
	for _, executor := range m.executors {
		list = append(list, executor)
	}
	return list, m.broken
}
