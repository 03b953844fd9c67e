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

	// drain and stop end first the waiting for the frontend, then the worker.
	waiting  context.Context
	stopWait context.CancelCauseFunc
	toWorker chan *worker.Worker
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
	waiting, stopWait := context.WithCancelCause(context.Background())
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
		waiting:  waiting,
		stopWait: stopWait,
		toWorker: make(chan *worker.Worker, 1),
	}
}

// commandOp is the metric's op of a log key: steps of all names count together (spec section 7.1).
func commandOp(key string) string {
	if strings.HasPrefix(key, "step.") {
		return "exec"
	}
	return key
}

// Drain ends the taking of jobs; Run returns when the running ones have ended.
func (a *Agent) Drain() { a.signal((*worker.Worker).Drain) }

// Stop ends running jobs, too.
func (a *Agent) Stop() { a.signal((*worker.Worker).Stop) }

func (a *Agent) signal(tell func(*worker.Worker)) {
	a.stopWait(ErrInterrupted)
	select {
	case w := <-a.toWorker:
		tell(w)
		a.toWorker <- w
	default:
	}
}

// Run prepares the host, waits for the frontend, and works until a limit is reached, Drain, or Stop. Errors are about what
// kept it from working; jobs that fail are no errors.
func (a *Agent) Run(ctx context.Context) error {
	defer a.stopWait(nil)
	if err := os.MkdirAll(a.config.TempDir, 0o755); err != nil {
		return fault.Operatorf("TMPDIR: %w", err)
	}
	kind, err := chooseKind(a.config, a.tools)
	if err != nil {
		return err
	}
	claim, err := owner.Take(a.config.StateDir, owner.Record{Executor: a.name, Engine: engineOf(kind), Parents: []string{a.config.TempDir}})
	if err != nil {
		return err
	}
	defer func() {
		if err := claim.Close(); err != nil {
			a.logger.Warn("closing the record of this executor failed", log.Error(err))
		}
	}()
	place, err := a.makeRuntime(kind, claim)
	if err != nil {
		return err
	}
	client, err := a.newClient(ctx)
	if err != nil {
		return err
	}
	queue := &contact{Queue: client}
	debug, err := serveDebug(a.logger, a.config.DebugAddr, debugHandler(a.registry, queue))
	if err != nil {
		return err
	}
	if debug != nil {
		defer stopServer(debug)
	}
	if err := a.await(ctx, client, queue); err != nil {
		return err
	}
	janitor := startJanitor(a.logger.Scoped("janitor"), place, a.config.Firecracker.CleanupInterval)
	defer janitor.stop()
	return a.work(ctx, place, claim, client, queue)
}

// await waits for the frontend; it can be interrupted by a first signal.
func (a *Agent) await(ctx context.Context, client *queueclient.Client, queue *contact) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(a.waiting, func() { cancel(ErrInterrupted) })()
	return awaitFrontend(ctx, a.logger, func(ctx context.Context) error {
		err := client.Ping(ctx)
		queue.touch(err)
		return err
	})
}

func (a *Agent) work(ctx context.Context, place runtime.Runtime, claim *owner.Claim, client *queueclient.Client, queue *contact) error {
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
	w, err := worker.New(a.logger.Scoped("worker"), queue, handler, worker.Config{
		Slots:         a.config.Jobs.Maximum,
		PollInterval:  a.config.Queues.PollInterval,
		MaxRuntime:    a.config.Jobs.MaximumRuntime,
		TotalJobs:     a.config.Jobs.Total,
		MaxActiveTime: a.config.Jobs.MaxActiveTime,
		DrainTimeout:  a.config.Jobs.DrainTimeout,
		Metrics:       worker.NewMetrics(a.registry, a.queueLabel()),
	})
	if err != nil {
		return fault.Operatorf("EXECUTOR_MAXIMUM_NUM_JOBS: %w", err)
	}
	a.toWorker <- w
	if a.waiting.Err() != nil {
		w.Drain()
	}
	a.logger.Info("executor is ready", log.String("name", a.name), log.String("runtime", string(place.Capabilities().Kind)),
		log.Strings("queues", a.config.Queues.Names), log.String("version", version.Version()))
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

func (a *Agent) newClient(ctx context.Context) (*queueclient.Client, error) {
	telemetry := a.tools.Telemetry(ctx, a.logger, goruntime.GOOS, goruntime.GOARCH, a.config.InKubernetes)
	client, err := newQueueClient(a.logger, a.config, a.name, telemetry, a.registry)
	if err != nil {
		return nil, fmt.Errorf("setting up the frontend's client: %w", err)
	}
	return client, nil
}
