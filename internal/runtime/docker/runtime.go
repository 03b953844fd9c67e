// Package docker runs steps in containers of a Docker engine, through the docker program.
package docker

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime"
)

// EngineName is the owner.Record's Engine of executors with this runtime.
const EngineName = "docker"

// Defaults of Options.
const (
	DefaultGrace     = 10 * time.Second
	DefaultPidsLimit = 4096
)

// expiredAfter is how long past its job's deadline a container of an unknown owner may be. It covers clocks that differ.
const expiredAfter = time.Hour

// Options steer the runtime.
type Options struct {
	// CPUs limits each step; 0 for no limit. More than the engine's machine has means all that it has.
	CPUs int
	// Memory limits each step, in docker's notation ("12G"); "" and "0" for no limit.
	Memory string
	// PidsLimit bounds the processes and threads of a step; DefaultPidsLimit when 0, no limit when negative.
	PidsLimit int
	// AddHostGateway gives steps the name host.docker.internal for the engine's machine.
	AddHostGateway bool
	// Mounts are further mounts in the notation of docker's --mount.
	Mounts []string
	// HostMountPath is the parent of the workspaces as the engine's machine sees it, when that is another one than here.
	HostMountPath string
	// Grace is the time that a stopped step has between SIGTERM and SIGKILL; DefaultGrace when 0.
	Grace time.Duration
	// TempDir is an existing directory for what the runtime needs itself: credentials and environments, for as long as a job
	// runs. It must be one of the parents in the claim's record.
	TempDir string
}

func (o Options) limitsMemory() bool { return o.Memory != "" && o.Memory != "0" }

func (o Options) validated() (Options, error) {
	switch {
	case o.CPUs < 0:
		return o, fault.Operatorf("number of CPUs per job is %d; it can't be negative (EXECUTOR_JOB_NUM_CPUS)", o.CPUs)
	case o.Grace < 0:
		return o, fault.Operatorf("grace period of steps is %s; it can't be negative", o.Grace)
	case !filepath.IsAbs(o.TempDir):
		return o, fault.Operatorf("directory for temporary files %q is not absolute (TMPDIR)", o.TempDir)
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	if o.PidsLimit == 0 {
		o.PidsLimit = DefaultPidsLimit
	}
	o.PidsLimit = max(o.PidsLimit, -1)
	return o, nil
}

// Runtime is the Docker runtime.
type Runtime struct {
	logger log.Logger
	runner *command.Runner
	engine *Engine
	claim  *owner.Claim

	sizing sync.Mutex
	// sized is true once options.CPUs is known to suit the engine's machine.
	sized   bool
	options Options

	mu   sync.Mutex
	open map[string]bool
	// unfinished are the claims of sessions that could not remove all that was theirs.
	unfinished []func()
}

var _ runtime.Runtime = (*Runtime)(nil)

// New returns a runtime that starts the docker program as runner does, and reaps what dead executors left according to the
// records beside claim's.
func New(logger log.Logger, runner *command.Runner, claim *owner.Claim, options Options) (*Runtime, error) {
	options, err := options.validated()
	if err != nil {
		return nil, err
	}
	return &Runtime{
		logger:  logger.Scoped("docker"),
		runner:  runner,
		engine:  NewEngine(runner),
		claim:   claim,
		options: options,
		open:    map[string]bool{},
	}, nil
}

// Capabilities implements runtime.Runtime.
func (*Runtime) Capabilities() runtime.Capabilities {
	return runtime.Capabilities{Kind: runtime.Docker, StepPrefix: "step.docker.", Isolated: true, Limits: true}
}

// hostDir is a workspace as the engine's machine sees it.
func (r *Runtime) hostDir(workspace string) (string, error) {
	dir := workspace
	if r.options.HostMountPath != "" {
		dir = filepath.Join(r.options.HostMountPath, filepath.Base(workspace))
	}
	if strings.Contains(dir, ":") {
		return "", fault.Operatorf("workspace directory %s has a colon, which docker takes for the end of the path; choose another TMPDIR", dir)
	}
	return dir, nil
}

// sizedOptions are the options with no more CPUs than there are: the engine refuses containers that ask for more.
func (r *Runtime) sizedOptions(ctx context.Context) (Options, error) {
	r.sizing.Lock()
	defer r.sizing.Unlock()
	if r.sized || r.options.CPUs == 0 {
		return r.options, nil
	}
	cpus, err := r.engine.cpus(ctx)
	if err != nil {
		return Options{}, err
	}
	if r.options.CPUs > cpus {
		r.logger.Warn("The engine's machine has fewer CPUs than a job may use; jobs get all of them",
			log.Int("EXECUTOR_JOB_NUM_CPUS", r.options.CPUs), log.Int("cpus", cpus))
		r.options.CPUs = cpus
	}
	r.sized = true
	return r.options, nil
}

// Reap implements runtime.Runtime. Besides what dead executors of this host left it removes containers that a session of this
// executor could not, and those of unknown owners whose job's deadline is long past. It leaves alone what executors on other
// hosts run on the same engine.
func (r *Runtime) Reap(ctx context.Context) (int, error) {
	swept, sweepErr := r.claim.Sweep(ctx, owner.Engine{Name: EngineName, Remove: func(ctx context.Context, executor string) (int, error) {
		return r.engine.clear(ctx, labelExecutor+"="+executor, all)
	}})
	removed, err := r.reapStrays(ctx)
	return swept + removed, errors.Join(sweepErr, err)
}

func (r *Runtime) reapStrays(ctx context.Context) (int, error) {
	// What is unfinished now has no container that could appear later than the list.
	r.mu.Lock()
	unfinished := r.unfinished
	r.unfinished = nil
	r.mu.Unlock()
	removed, err := r.engine.clear(ctx, managedBy, r.strayed)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.unfinished = append(r.unfinished, unfinished...)
		return removed, err
	}
	for _, release := range unfinished {
		release()
	}
	return removed, nil
}

// strayed tells whether a container is ours and its session is closed, or belongs to an unknown owner and is long past its time.
func (r *Runtime) strayed(c container) bool {
	if c.executor == r.claim.Executor() {
		r.mu.Lock()
		defer r.mu.Unlock()
		return !r.open[c.session]
	}
	return !c.deadline.IsZero() && time.Since(c.deadline) > expiredAfter
}
