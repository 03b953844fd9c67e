package agent

import (
	"context"
	"fmt"
	"sync"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/worker"
)

// Supervisor is told how far an executor is: the service manager of its host. Its methods return at once and are safe for
// concurrent use.
type Supervisor interface {
	// Ready: jobs are taken from now on. The statuses are for people.
	Ready(status string)
	Status(status string)
	// Stopping: no new jobs are taken any more.
	Stopping(status string)
	// Watch gives signs of life until stop, as long as alive returns nil.
	Watch(alive func(context.Context) error) (stop func())
}

// nobody is the Supervisor of an executor without one.
type nobody struct{}

func (nobody) Ready(string)    {}
func (nobody) Status(string)   {}
func (nobody) Stopping(string) {}

func (nobody) Watch(func(context.Context) error) (stop func()) { return func() {} }

// phase is how far an executor is.
type phase int

const (
	starting phase = iota
	ready
	draining
	stopping
)

// progress keeps a supervisor up to date.
type progress struct {
	supervisor Supervisor

	mu    sync.Mutex
	phase phase
	jobs  int
}

// awaits says what the executor waits for before it takes jobs.
func (p *progress) awaits(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase == starting {
		p.supervisor.Status("waiting for " + what)
	}
}

// enter goes on to a phase. There is no way back: an order to drain may come before the executor is ready.
func (p *progress) enter(next phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if next <= p.phase {
		return
	}
	ending := p.phase >= draining
	p.phase = next
	switch {
	case next == ready:
		p.supervisor.Ready(p.status())
	case !ending:
		p.supervisor.Stopping(p.status())
	default:
		p.supervisor.Status(p.status())
	}
}

func (p *progress) count(change int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.jobs += change
	p.supervisor.Status(p.status())
}

// status needs the lock.
func (p *progress) status() string {
	jobs := fmt.Sprintf("%d jobs run", p.jobs)
	switch p.jobs {
	case 0:
		jobs = "no job runs"
	case 1:
		jobs = "1 job runs"
	}
	switch p.phase {
	case draining:
		return "draining, no new jobs are taken: " + jobs
	case stopping:
		return "stopping, running jobs are ended: " + jobs
	}
	return "ready: " + jobs
}

// counted is a handler whose jobs are counted.
type counted struct {
	worker.Handler
	progress *progress
}

// Handle implements worker.Handler.
func (c counted) Handle(ctx context.Context, job api.Job) error {
	return c.progress.counting(func() error { return c.Handler.Handle(ctx, job) })
}

// counting counts a job while it runs.
func (p *progress) counting(run func() error) error {
	p.count(1)
	defer p.count(-1)
	return run()
}
