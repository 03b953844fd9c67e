// Package job runs one job from its workspace over its steps to its result, and removes what it made.
package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/mask"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/steplog"
	"github.com/open-executor/executor/internal/workspace"
)

// Client is the frontend as one job sees it.
type Client interface {
	steplog.Uploader
	// OpenFile streams a file that the frontend keeps.
	OpenFile(ctx context.Context, bucket, key string) (io.ReadCloser, error)
}

// Config holds what is the same for all jobs.
type Config struct {
	// ExecutorName names this executor.
	ExecutorName string
	// Queue is the queue of jobs that don't name theirs: the one that a single-queue executor serves.
	Queue string
	// FrontendURL is where repositories are cloned from.
	FrontendURL *url.URL
	// Password is the shared token: masked in every log, and used for the clone when a job has no token of its own.
	Password string
	// DockerAuth is used by jobs that bring none.
	DockerAuth api.DockerAuthConfig
	// WorkspaceParent is where workspaces are made; created when missing.
	WorkspaceParent string
	// KeepWorkspaces leaves workspaces behind, for debugging.
	KeepWorkspaces bool
	// Commands runs git.
	Commands *command.Runner
	// Track records a directory before it is made and returns how to forget it again.
	Track func(path string) (forget func())
}

const (
	// teardownTime bounds what is done after a job's steps, whatever ended them.
	teardownTime = 2 * time.Minute
	// flushTime bounds the sending of the last of the log, shutdownFlushTime the same once the executor is shutting down.
	flushTime         = 5 * time.Minute
	shutdownFlushTime = 5 * time.Second
)

// Runner runs jobs. It is safe for concurrent use.
type Runner struct {
	logger  log.Logger
	runtime runtime.Runtime
	client  func(api.Job) Client
	config  Config
}

// New makes a runner of jobs in one runtime. Client makes each job's view of the frontend.
func New(logger log.Logger, runtime runtime.Runtime, client func(api.Job) Client, config Config) *Runner {
	return &Runner{logger: logger, runtime: runtime, client: client, config: config}
}

// redacted stands in a log in place of the executor's own credentials.
const redacted = "SECRET_REMOVED"

// Handle runs the job to its end: workspace, runtime, steps, teardown, and the last of its log uploaded. Errors have the texts
// of spec section 4.2. Nothing of the job is left on the host when it returns, unless the error says so.
func (r *Runner) Handle(ctx context.Context, job api.Job) (err error) {
	masker := mask.New(r.secrets(job))
	for _, warning := range masker.Warnings() {
		r.logger.Warn("secret can't be masked well", log.Int64("jobID", job.ID), log.String("secret", warning.Replacement), log.String("why", warning.Text))
	}
	client := r.client(job)
	logger := steplog.New(client, masker, steplog.Options{Logger: r.logger})
	defer func() {
		flush, cancel := flushing(ctx)
		defer cancel()
		if flushErr := logger.Flush(flush); flushErr != nil {
			err = errors.Join(err, fmt.Errorf("uploading the log: %w", flushErr))
		}
	}()
	return r.run(ctx, job, client, logger)
}

// flushing returns the context in which the last of the log is sent. It outlives the job's, but not for long when that ends by a
// shutdown, be it meanwhile.
func flushing(ctx context.Context) (context.Context, context.CancelFunc) {
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), runtime.ErrShutdown) {
			time.AfterFunc(shutdownFlushTime, cancel)
		}
	})
	return flush, cancel
}

// secrets are what no log may show. The job's own pairs win over the executor's.
func (r *Runner) secrets(job api.Job) map[string]string {
	secrets := map[string]string{r.config.Password: redacted, job.Token: redacted}
	for secret, replacement := range job.RedactedValues {
		secrets[secret] = replacement
	}
	return secrets
}

func (r *Runner) run(ctx context.Context, job api.Job, client Client, log command.Log) (err error) {
	texts := textsFor(job)
	space, err := workspace.Prepare(ctx, job, workspace.Options{
		Log:          log,
		Runner:       r.config.Commands,
		Frontend:     r.config.FrontendURL,
		Password:     r.config.Password,
		ExecutorName: r.config.ExecutorName,
		Files:        client,
		ParentDir:    r.config.WorkspaceParent,
		Keep:         r.config.KeepWorkspaces,
		Track:        r.config.Track,
	})
	if err != nil {
		return fmt.Errorf("%s: %w", texts.workspace, err)
	}
	defer func() {
		err = errors.Join(err, r.teardown(ctx, func(ctx context.Context) error { return space.Remove(ctx, log) }))
	}()

	prefix := r.runtime.Capabilities().StepPrefix
	steps, err := plan(job, prefix, space.Scripts)
	if err != nil {
		return fmt.Errorf("creating commands: %w", err)
	}
	session, err := r.runtime.Open(ctx, runtime.Job{
		ID:           job.ID,
		Queue:        cmp.Or(job.Queue, r.config.Queue),
		Attempt:      job.Attempt,
		Executor:     r.config.ExecutorName,
		WorkspaceDir: space.Dir,
		DockerAuth:   r.dockerAuth(job),
		Steps:        runtimeSteps(steps),
		Log:          log,
	})
	if err != nil {
		// No step will have an entry that could tell.
		entry := log.Open("setup.runtime", nil)
		fmt.Fprintf(entry, "%s\n", err)
		entry.Close(1)
		return fmt.Errorf("%s: %w", texts.runtime, err)
	}
	defer func() { err = errors.Join(err, r.teardown(ctx, session.Close)) }()

	return runSteps(ctx, session, prefix, steps)
}

func runtimeSteps(steps []step) []runtime.Step {
	var all []runtime.Step
	for _, planned := range steps {
		all = append(all, planned.Step)
	}
	return all
}

// teardown runs after the job, also when its context has ended.
func (r *Runner) teardown(ctx context.Context, remove func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), teardownTime)
	defer cancel()
	return remove(ctx)
}

// dockerAuth is the job's registry credentials or, when it has none, the executor's (spec section 3.4).
func (r *Runner) dockerAuth(job api.Job) api.DockerAuthConfig {
	if len(job.DockerAuth.Auths) > 0 {
		return job.DockerAuth
	}
	return r.config.DockerAuth
}

// texts are the error prefixes of spec section 4.2, which differ for jobs with src steps.
type texts struct{ workspace, runtime string }

func textsFor(job api.Job) texts {
	if len(job.CliSteps) > 0 {
		return texts{"failed to prepare workspace", "failed to setup virtual machine"}
	}
	return texts{"creating workspace", "creating runtime runner"}
}
