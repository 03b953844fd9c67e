// Package agent assembles an executor from its rooms: configuration, runtime, frontend client, worker, debug server.
package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/job"
	"github.com/open-executor/executor/internal/metrics"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/queueclient"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/version"
	"github.com/open-executor/executor/internal/worker"
)

// Agent is one executor. New makes it, Run runs it once; Drain and Stop may be called at any time.
type Agent struct {
	logger   log.Logger
	config   executorconfig.Config
	tools    Tools
	name     string
	registry *prometheus.Registry
	runner   *command.Runner
	progress *progress

	// starting ends with the first order to drain or stop: what goes on before there is a worker heeds it.
	starting  context.Context
	interrupt context.CancelCauseFunc

	mu sync.Mutex
	// stopping is set by Stop; worker is nil until there is one.
	stopping bool
	worker   *worker.Worker
}

// longPoll is how long a frontend that can may hold a dequeue until there is a job. Others ignore the wish.
const longPoll = 30 * time.Second

// ErrInterrupted: a signal came before the frontend had answered.
var ErrInterrupted = errors.New("interrupted while waiting for the frontend")

// New makes an executor with a name of its own, "<hostname>-<random uuid>".
func New(logger log.Logger, config executorconfig.Config, tools Tools) *Agent {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	name := config.Hostname + "-" + uuid.NewString()
	commands := metrics.NewRED(registry, "apiworker_command")
	starting, interrupt := context.WithCancelCause(context.Background())
	return &Agent{
		logger:   logger,
		config:   config,
		tools:    tools,
		name:     name,
		registry: registry,
		runner: &command.Runner{
			Mark: owner.Mark(name),
			Observe: func(key string, took time.Duration, err error) {
				commands.Observe(commandOp(key), took, err)
			},
		},
		progress:  &progress{supervisor: nobody{}},
		starting:  starting,
		interrupt: interrupt,
	}
}

// ReportTo makes the supervisor hear of the executor's progress. It is called before Run, Drain and Stop.
func (a *Agent) ReportTo(supervisor Supervisor) { a.progress.supervisor = supervisor }

// commandOp is the metric's op of a log key: steps of all names count together (spec section 7.1).
func commandOp(key string) string {
	if strings.HasPrefix(key, "step.") {
		return "exec"
	}
	return key
}

// Drain ends the taking of jobs; Run returns when the running ones have ended.
func (a *Agent) Drain() { a.order(false) }

// Stop ends running jobs, too.
func (a *Agent) Stop() { a.order(true) }

func (a *Agent) order(stop bool) {
	if stop {
		a.progress.enter(stopping)
	} else {
		a.progress.enter(draining)
	}
	a.interrupt(ErrInterrupted)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopping = a.stopping || stop
	a.instruct()
}

// employ makes w the worker that orders go to, also those that came before it.
func (a *Agent) employ(w *worker.Worker) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.worker = w
	a.instruct()
}

// instruct needs the lock.
func (a *Agent) instruct() {
	switch {
	case a.worker == nil:
	case a.stopping:
		a.worker.Stop()
	case a.starting.Err() != nil:
		a.worker.Drain()
	}
}

// Run prepares the host, waits for the frontend, and works until a limit is reached, Drain, or Stop. Errors are about what
// kept it from working; jobs that fail are no errors.
func (a *Agent) Run(ctx context.Context) error {
	defer a.interrupt(nil)
	kind, err := chooseKind(a.config, a.tools)
	if err != nil {
		return err
	}
	claim, err := a.takeClaim(kind)
	if err != nil {
		return err
	}
	defer func() {
		if err := claim.Close(); err != nil {
			a.logger.Warn("closing the record of this executor failed", log.Error(err))
		}
	}()
	start, cancel := a.untilOrdered(ctx)
	defer cancel()
	place, err := a.makePlace(start, kind, claim)
	if err != nil {
		return err
	}
	defer func() {
		if err := place.release(); err != nil {
			a.logger.Warn("closing the runtime failed", log.Error(err))
		}
	}()
	telemetry := a.tools.Telemetry(start, a.logger, goruntime.GOOS, goruntime.GOARCH, a.config.InKubernetes)
	client, release, err := newQueueClient(a.logger, a.config, a.name, telemetry, a.registry)
	if err != nil {
		return fmt.Errorf("setting up the frontend's client: %w", err)
	}
	defer release()
	queue := &contact{Queue: client}
	debug, err := serveDebug(a.logger, a.config.DebugAddr, debugHandler(a.registry, queue))
	if err != nil {
		return err
	}
	if debug != nil {
		defer stopDebug(debug)
	}
	a.progress.awaits("the frontend at " + a.config.Frontend.URL.Redacted())
	err = awaitFrontend(start, a.logger, func(ctx context.Context) error {
		err := client.Ping(ctx)
		queue.touch(err)
		return err
	})
	if err != nil {
		return err
	}
	janitor := startJanitor(start, a.logger.Scoped("janitor"), place, a.config.Firecracker.CleanupInterval)
	defer janitor.stop()
	return a.work(ctx, place, claim, client, queue)
}

// takeClaim makes the place of workspaces and the record of this executor.
func (a *Agent) takeClaim(kind runtime.Kind) (*owner.Claim, error) {
	if err := os.MkdirAll(a.config.TempDir, 0o755); err != nil {
		return nil, fault.Operatorf("TMPDIR: %w", err)
	}
	claim, err := owner.Take(a.config.StateDir, owner.Record{Executor: a.name, Engine: engineOf(kind), Parents: []string{a.config.TempDir, MachinesDir(a.config)}})
	if err != nil {
		return nil, fmt.Errorf("EXECUTOR_STATE_DIR: %w", err)
	}
	return claim, nil
}

// untilOrdered is ctx until the first order to drain or stop, which is its cause then.
func (a *Agent) untilOrdered(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	disarm := context.AfterFunc(a.starting, func() { cancel(context.Cause(a.starting)) })
	return ctx, func() {
		disarm()
		cancel(nil)
	}
}

func (a *Agent) work(ctx context.Context, place place, claim *owner.Claim, client *queueclient.Client, queue *contact) error {
	handler := job.New(a.logger, place, func(j api.Job) job.Client { return client.ForJob(j) }, job.Config{
		ExecutorName:    a.name,
		Queue:           a.singleQueue(),
		FrontendURL:     a.config.Frontend.URL,
		Password:        a.config.Frontend.Password.Reveal(),
		DockerAuth:      a.config.Docker.Auth.Reveal(),
		WorkspaceParent: a.config.TempDir,
		KeepWorkspaces:  a.config.Jobs.KeepWorkspaces,
		Commands:        a.runner,
		Track:           claim.Track,
	})
	w, err := worker.New(a.logger.Scoped("worker"), queue, counted{handler, a.progress}, worker.Config{
		Slots:         a.config.Jobs.Maximum,
		PollInterval:  a.config.Queues.PollInterval,
		MaxRuntime:    a.config.Jobs.MaximumRuntime,
		TotalJobs:     a.config.Jobs.Total,
		MaxActiveTime: a.config.Jobs.MaxActiveTime,
		DrainTimeout:  a.config.Jobs.DrainTimeout,
		Metrics:       worker.NewMetrics(a.registry, a.queueLabel()),
		Resumed:       a.resume(ctx, handler, place.orphans),
	})
	if err != nil {
		return fault.Operatorf("EXECUTOR_MAXIMUM_NUM_JOBS: %w", err)
	}
	a.employ(w)
	a.logger.Info("executor is ready", log.String("name", a.name), log.String("runtime", string(place.Capabilities().Kind)),
		log.Strings("queues", a.config.Queues.Names), log.String("version", version.Version()))
	defer a.progress.supervisor.Watch(queue.beating())()
	a.progress.enter(ready)
	w.Run(ctx)
	return nil
}

// singleQueue is the queue's name when there is one; several stand in the jobs themselves.
func (a *Agent) singleQueue() string {
	if a.config.Queues.Multi {
		return ""
	}
	return a.config.Queues.Names[0]
}

// queueLabel joins the queues for metrics, sorted.
func (a *Agent) queueLabel() string {
	names := slices.Sorted(slices.Values(a.config.Queues.Names))
	return strings.Join(names, "_")
}
