// Package runtime is the boundary between a job and the place where its steps run. Each runtime lives in a package of its
// own below this one and earns its place by passing runtimetest.
package runtime

import (
	"context"
	"errors"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command"
)

// Kind names a runtime; it is the value of EXECUTOR_RUNTIME and the middle of step keys such as "step.docker.build".
type Kind string

// The runtimes. Firecracker steps are Docker steps to those who read the log: their keys say "docker".
const (
	Docker      Kind = "docker"
	Firecracker Kind = "firecracker"
	Kubernetes  Kind = "kubernetes"
	Shell       Kind = "shell"
)

// Causes with which a job's context ends (context.Cause). They decide what the log says and what is reported.
var (
	// ErrCanceled: the frontend asked to stop the job.
	ErrCanceled = errors.New("job canceled")
	// ErrLeaseLost: the frontend no longer counts the job as this executor's.
	ErrLeaseLost = errors.New("job lease lost")
	// ErrShutdown: the executor stops without waiting for the job.
	ErrShutdown = errors.New("executor is shutting down")
)

// Capabilities tell what a runtime does, so that nobody needs to ask which one it is.
type Capabilities struct {
	Kind Kind
	// StepPrefix begins the log keys of container steps, "step.docker." for example.
	StepPrefix string
	// Isolated is true when a step can't touch the host beyond its workspace.
	Isolated bool
	// Limits is true when CPU and memory limits hold.
	Limits bool
}

// Runtime opens a session per job. Implementations are safe for concurrent use; sessions of different jobs share nothing.
type Runtime interface {
	Capabilities() Capabilities
	// Open makes what is needed to run job's steps. On error nothing is left behind. The session must be closed whatever
	// happens to the job.
	Open(ctx context.Context, job Job) (Session, error)
	// Reap removes what sessions of executors that no longer live left on this host, and returns how many things it removed. It is
	// called at start and then now and again, never touches what a living executor owns, and goes on past single failures,
	// which it returns joined.
	Reap(ctx context.Context) (int, error)
}

// Session runs the steps of one job, one at a time.
type Session interface {
	// Run runs one step to its end as one log entry under step.Key. It returns nil for exit code 0, a *command.ExitError for another,
	// the context's cause when the context ended it, else what kept it from running. When it returns, no process of the step
	// is left; with a done context the step first got SIGTERM and its grace period. The log says why a step died when it
	// didn't end by itself: out of memory (with the limit), killed by deadline, cancel, image pull error.
	Run(ctx context.Context, step Step) error
	// TakeFile reads and removes a file of the workspace; path is slash-separated and relative to it. The error is fs.ErrNotExist when
	// there is none. Files above limit bytes, symlinks and paths leaving the workspace are errors. It may be called
	// between steps only.
	TakeFile(ctx context.Context, path string, limit int64) ([]byte, error)
	// Close removes everything that the session made. It is called once, after Run has returned, with a context of its own; what
	// could not be removed is in the error, and Reap of a later executor finds it.
	Close(ctx context.Context) error
}

// Keeper is a Session whose job goes on when its executor dies.
type Keeper interface {
	Session
	// Keep stores content with the job under a name, in place of what it stored there, where Orphan.Recall finds it. It holds secrets as safe as the
	// executor's memory does. It may be called beside Run. Content has at most MaxKept bytes.
	Keep(ctx context.Context, name string, content []byte) error
}

// MaxKept bounds what Keep is given, in bytes.
const MaxKept = 8 << 20

// Orphan is the place of a job whose executor is no more. It belongs to this executor alone, and either Resume or Discard is called.
type Orphan interface {
	// Recall returns what was kept under a name, fs.ErrNotExist when nothing was.
	Recall(ctx context.Context, name string) ([]byte, error)
	// Resume opens the job's session anew; WorkspaceDir is not needed. The job's steps are run from the first one on: what has run, or runs, is not run
	// again, but its output comes again from its first byte on, and its result; likewise the answers of TakeFile.
	Resume(ctx context.Context, job Job) (Session, error)
	// Discard removes it.
	Discard(ctx context.Context) error
}

// Job is what a runtime needs to know of a job.
type Job struct {
	ID    int64
	Queue string
	// Attempt is 0 when the frontend doesn't number attempts.
	Attempt int
	// Executor is the executor's name.
	Executor string
	// WorkspaceDir is the absolute host path of the prepared workspace.
	WorkspaceDir string
	// DockerAuth holds the registry credentials in force for this job.
	DockerAuth api.DockerAuthConfig
	// Steps are those that the session will be asked to run, in that order; some may be skipped. A runtime makes ready ahead what they need.
	Steps []Step
	// Log takes the steps' entries.
	Log command.Log
}

// Step is one step.
type Step struct {
	// Key is the full log key.
	Key string
	// Image is empty for a src step.
	Image string
	// Script is the step's script: a file name below ScriptsDir. Set for container steps.
	Script string
	// Command are the words of a src step, "src" first.
	Command []string
	// Dir is the working directory, slash-separated, relative to the workspace.
	Dir string
	// Env holds NAME=value pairs; values may contain newlines.
	Env []string
}

// ScriptsDir is the workspace's directory of step scripts.
const ScriptsDir = ".sourcegraph-executor"
