// Package worker takes jobs from a frontend, keeps their leases while they run, stops those that it is told to stop, reports
// their results, and drains.
package worker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
)

// Queue is the frontend as the worker sees it. It must be safe for concurrent use.
type Queue interface {
	// Dequeue returns the next job, or false when there is none.
	Dequeue(ctx context.Context) (api.Job, bool, error)
	// Heartbeat renews the leases of the running jobs, named by their UIDs. Jobs missing in known are no longer this
	// executor's; those in stop shall be canceled.
	Heartbeat(ctx context.Context, uids []string) (known, stop []string, err error)
	// HoldsHeartbeats reports whether a heartbeat that names jobs returns only when there is something to stop, or after about the
	// heartbeat interval. The next one then follows at once.
	HoldsHeartbeats() bool
	// Report tells the end of a job. It retries within its own bound; an error is final.
	Report(ctx context.Context, job api.Job, report api.Report) error
}

// Handler runs one job. Its context ends with a cause: runtime.ErrCanceled, runtime.ErrLeaseLost, runtime.ErrShutdown or a
// *DeadlineError. It returns only when everything of the job is gone from this host.
type Handler interface {
	Handle(ctx context.Context, job api.Job) error
}

// Config holds the limits of a worker.
type Config struct {
	// Slots is how many jobs run at once; at least 1.
	Slots int
	// PollInterval is the wait between dequeues that brought nothing.
	PollInterval time.Duration
	// HeartbeatInterval is measured from the end of the previous heartbeat; 0 means 5 s (spec section 4.6).
	HeartbeatInterval time.Duration
	// MaxRuntime bounds each job; 0 for no bound.
	MaxRuntime time.Duration
	// TotalJobs ends the worker after that many dequeued jobs; 0 for no bound.
	TotalJobs int
	// MaxActiveTime ends the worker's dequeuing after that time; 0 for no bound.
	MaxActiveTime time.Duration
	// DrainTimeout turns a drain that takes longer into a stop; 0 waits for ever.
	DrainTimeout time.Duration
	// Metrics may be nil.
	Metrics *Metrics
	// Resumed are jobs that this executor holds already. They run first, all at once.
	Resumed []Resumed
}

// Resumed is a job that was begun before this worker was.
type Resumed struct {
	Job api.Job
	// Began is when; MaxRuntime and the job's own limit count from there.
	Began time.Time
	// Handle runs the rest of it, as Handler.Handle does.
	Handle func(context.Context) error
}

const (
	defaultHeartbeatInterval = 5 * time.Second
	heartbeatTimeout         = 15 * time.Second
	// drainDequeueGrace is how long a dequeue that is under way may still answer after a drain began: aborting it at once could
	// lose a job that the frontend has just handed out until its lease expires.
	drainDequeueGrace = 2 * time.Second
	// stopReportTime is how long after a stop a report may still take: a frontend that does not answer then must not keep the
	// executor, and finds the job stalled.
	stopReportTime = 5 * time.Second
)

// Worker is made by New and run once by Run. Drain and Stop may be called at any time from any goroutine.
type Worker struct {
	logger  log.Logger
	queue   Queue
	handler Handler
	config  Config

	running *running
	slots   chan struct{}
	// beat asks for a heartbeat now.
	beat     chan struct{}
	drain    chan struct{}
	draining sync.Once
	stop     context.Context
	stopNow  context.CancelFunc
}

// New makes a worker. It does nothing before Run.
func New(logger log.Logger, queue Queue, handler Handler, config Config) (*Worker, error) {
	if config.Slots < 1 {
		return nil, fmt.Errorf("worker slots: want at least 1, got %d", config.Slots)
	}
	if config.HeartbeatInterval == 0 {
		config.HeartbeatInterval = defaultHeartbeatInterval
	}
	stop, stopNow := context.WithCancel(context.Background())
	return &Worker{
		logger:  logger,
		queue:   queue,
		handler: handler,
		config:  config,
		running: newRunning(),
		slots:   make(chan struct{}, config.Slots),
		beat:    make(chan struct{}, 1),
		drain:   make(chan struct{}),
		stop:    stop,
		stopNow: stopNow,
	}, nil
}

// Drain ends dequeuing; jobs that run go on to their end, with heartbeats. Run then returns.
func (w *Worker) Drain() { w.draining.Do(func() { close(w.drain) }) }

// Stop drains and also ends the running jobs: their contexts end with runtime.ErrShutdown, and they are reported as errored.
func (w *Worker) Stop() {
	w.Drain()
	w.stopNow()
}

// Run takes and runs jobs until a limit of the configuration is reached, Drain, or Stop, and until then all jobs have ended and
// are reported. A done ctx counts as Stop.
func (w *Worker) Run(ctx context.Context) {
	defer w.stopNow()
	defer context.AfterFunc(ctx, w.Stop)()

	var jobs sync.WaitGroup
	w.resume(&jobs)
	heartbeats := w.startHeartbeats()
	w.takeJobs(&jobs)
	w.Drain()
	defer w.boundDrain()()
	jobs.Wait()
	heartbeats.stop()
}

// boundDrain arms the drain timeout and returns how to disarm it.
func (w *Worker) boundDrain() (disarm func()) {
	if w.config.DrainTimeout <= 0 {
		return func() {}
	}
	timer := time.AfterFunc(w.config.DrainTimeout, func() {
		if n := w.running.count(); n > 0 {
			w.logger.Warn("drain timeout reached, stopping the jobs that still run", log.Int("jobs", n))
		}
		w.Stop()
	})
	return func() { timer.Stop() }
}

// resume goes on with the jobs that are this worker's from the beginning. The first heartbeat names them: their leases have not been renewed for a while.
func (w *Worker) resume(jobs *sync.WaitGroup) {
	var admitted sync.WaitGroup
	for _, resumed := range w.config.Resumed {
		admitted.Add(1)
		holdsSlot := false
		select {
		case w.slots <- struct{}{}:
			holdsSlot = true
		default: // more than the executor before had
		}
		jobs.Go(func() {
			if holdsSlot {
				defer func() { <-w.slots }()
			}
			w.runJob(resumed, admitted.Done)
		})
	}
	admitted.Wait()
}

// takeJobs dequeues until it is time to end.
func (w *Worker) takeJobs(jobs *sync.WaitGroup) {
	deadline := newTimer(w.config.MaxActiveTime)
	defer deadline.Stop()
	for taken := 0; w.config.TotalJobs == 0 || taken < w.config.TotalJobs; {
		select {
		case <-w.drain:
			return
		case <-deadline.C:
			w.logger.Info("maximum active time reached")
			return
		case w.slots <- struct{}{}:
		}
		job, ok := w.dequeue()
		if !ok {
			<-w.slots
			if !w.pause(deadline) {
				return
			}
			continue
		}
		taken++
		jobs.Go(func() {
			defer func() { <-w.slots }()
			w.runJob(Resumed{Job: job, Handle: func(ctx context.Context) error { return w.handler.Handle(ctx, job) }}, w.beatNow)
		})
	}
	w.logger.Info("maximum number of jobs reached", log.Int("jobs", w.config.TotalJobs))
}

// dequeue asks once. A drain gives the request that is under way a little time to answer.
func (w *Worker) dequeue() (api.Job, bool) {
	if w.isDraining() {
		return api.Job{}, false
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-done:
			return
		case <-w.drain:
		}
		timer := time.NewTimer(drainDequeueGrace)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			cancel()
		case <-w.stop.Done():
			cancel()
		}
	}()
	job, ok, err := w.queue.Dequeue(ctx)
	if err != nil && ctx.Err() == nil {
		w.logger.Error("dequeue failed", log.Error(err))
	}
	return job, ok && err == nil
}

// pause waits the poll interval, with a tenth of jitter so that many executors don't poll in step. False means: end.
func (w *Worker) pause(deadline *time.Timer) bool {
	interval := w.config.PollInterval
	if tenth := int64(interval / 10); tenth > 0 {
		interval += time.Duration(rand.Int64N(tenth))
	}
	timer := time.NewTimer(interval)
	defer timer.Stop()
	select {
	case <-w.drain:
		return false
	case <-deadline.C:
		w.logger.Info("maximum active time reached")
		return false
	case <-timer.C:
		return true
	}
}

func (w *Worker) isDraining() bool {
	select {
	case <-w.drain:
		return true
	default:
		return false
	}
}

// newTimer returns a timer that never fires for 0.
func newTimer(d time.Duration) *time.Timer {
	if d > 0 {
		return time.NewTimer(d)
	}
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return timer
}
