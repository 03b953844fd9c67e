// Package shell runs steps as plain processes of this host, without isolation. It is chosen by name only.
package shell

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/jobtree"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/host"
)

// program runs the scripts (spec section 5.4).
const program = "/bin/sh"

// DefaultGrace is the time between SIGTERM and SIGKILL unless Options say otherwise.
const DefaultGrace = 10 * time.Second

// Options steer the runtime.
type Options struct {
	// Grace is the time that a stopped step has between SIGTERM and SIGKILL; DefaultGrace when 0.
	Grace time.Duration
}

// Runtime is the shell runtime.
type Runtime struct {
	runner *command.Runner
	claim  *owner.Claim
	grace  time.Duration
}

var _ runtime.Runtime = (*Runtime)(nil)

// New returns a runtime that starts its steps as runner would, with /bin/sh allowed besides, and reaps what dead executors left
// according to the records beside claim's.
func New(runner *command.Runner, claim *owner.Claim, options Options) (*Runtime, error) {
	if options.Grace < 0 {
		return nil, fault.Operatorf("grace period of steps is %s; it can't be negative", options.Grace)
	}
	if options.Grace == 0 {
		options.Grace = DefaultGrace
	}
	own := *runner
	own.Allowed = append(slices.Clone(runner.Allowed), program)
	return &Runtime{runner: &own, claim: claim, grace: options.Grace}, nil
}

// Capabilities implements runtime.Runtime.
func (*Runtime) Capabilities() runtime.Capabilities {
	return runtime.Capabilities{Kind: runtime.Shell, StepPrefix: "step.docker."}
}

// Open implements runtime.Runtime. It makes nothing.
func (r *Runtime) Open(ctx context.Context, job runtime.Job) (runtime.Session, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return &session{workspace: job.WorkspaceDir, steps: &host.Steps{
		Runner:    r.runner,
		Session:   host.SessionName(job),
		Workspace: job.WorkspaceDir,
		Log:       job.Log,
		Grace:     r.grace,
	}}, nil
}

// Reap implements runtime.Runtime.
func (r *Runtime) Reap(ctx context.Context) (int, error) {
	return r.claim.Sweep(ctx, owner.Engine{})
}

type session struct {
	workspace string
	steps     *host.Steps
}

// Run implements runtime.Session. A container step's image is ignored.
func (s *session) Run(ctx context.Context, step runtime.Step) error {
	if step.Image == "" {
		return s.steps.Run(ctx, step, step.Command)
	}
	return s.steps.Run(ctx, step, []string{program, filepath.Join(s.workspace, runtime.ScriptsDir, step.Script)})
}

// TakeFile implements runtime.Session.
func (s *session) TakeFile(_ context.Context, path string, limit int64) ([]byte, error) {
	return jobtree.TakeFile(s.workspace, path, limit)
}

// Close implements runtime.Session.
func (s *session) Close(ctx context.Context) error { return s.steps.Sweep(ctx) }
