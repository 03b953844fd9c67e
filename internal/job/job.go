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
// of spec section 4.2. Nothing of the job is left on the host when it returns, unless the error says so. With runtime.ErrLeaseLost the job goes on without
// this executor.
func (r *Runner) Handle(ctx context.Context, job api.Job) error {
	return r.handle(ctx, job, nil, func(client Client, logger *steplog.Logger, changed <-chan struct{}) error {
		return r.run(ctx, job, client, logger, changed)
	})
}

// handle runs a job with its log, which goes on where records tell that it was. Changed tells run when the log's records have changed.
func (r *Runner) handle(
	ctx context.Context, job api.Job, records []steplog.Record, run func(client Client, logger *steplog.Logger, changed <-chan struct{}) error,
) (err error) {
	masker := mask.New(r.secrets(job))
	for _, warning := range masker.Warnings() {
		r.logger.Warn("secret can't be masked well", log.Int64("jobID", job.ID), log.String("secret", warning.Replacement), log.String("why", warning.Text))
	}
	client := r.client(job)
	changed := make(chan struct{}, 1)
	logger := steplog.New(client, masker, steplog.Options{Logger: r.logger, Records: records, Changed: func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}})
	defer func() {
		flush, cancel := flushing(ctx)
		defer cancel()
		if flushErr := logger.Flush(flush); flushErr != nil {
			err = errors.Join(err, fmt.Errorf("uploading the log: %w", flushErr))
		}
	}()
	return run(client, logger, changed)
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

func (r *Runner) run(ctx context.Context, job api.Job, client Client, log *steplog.Logger, changed <-chan struct{}) (err error) {
	began := time.Now().UTC()
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
		return fmt.Errorf("%s: %w", textsFor(job).workspace, err)
	}
	defer func() {
		err = errors.Join(err, r.teardown(ctx, func(ctx context.Context) error { return space.Remove(ctx, log) }))
	}()
	open := func(steps []step) (runtime.Session, error) {
		return r.runtime.Open(ctx, r.runtimeJob(job, space.Dir, steps, log))
	}
	return r.runIn(ctx, kept{Job: job, Scripts: space.Scripts, Began: began}, open, log, changed)
}

// runIn runs a job's steps in the session that open opens.
func (r *Runner) runIn(
	ctx context.Context, what kept, open func([]step) (runtime.Session, error), log *steplog.Logger, changed <-chan struct{},
) (err error) {
	prefix := r.runtime.Capabilities().StepPrefix
	steps, err := plan(what.Job, prefix, what.Scripts)
	if err != nil {
		return fmt.Errorf("creating commands: %w", err)
	}
	session, err := open(steps)
	if err != nil {
		// No step will have an entry that could tell.
		entry := log.Open("setup.runtime", nil)
		fmt.Fprintf(entry, "%s\n", err)
		entry.Close(1)
		return fmt.Errorf("%s: %w", textsFor(what.Job).runtime, err)
	}
	defer func() { err = errors.Join(err, r.teardown(ctx, session.Close)) }()
	defer r.keep(ctx, session, what, log, changed)()

	err = runSteps(ctx, session, prefix, steps)
	if errors.Is(err, runtime.ErrLeaseLost) && ctx.Err() == nil {
		// Another executor has it, under the same lease: what this one sends would stand in its way.
		log.Abandon(err)
	}
	return err
}

func (r *Runner) runtimeJob(job api.Job, dir string, steps []step, log command.Log) runtime.Job {
	return runtime.Job{
		ID:           job.ID,
		Queue:        cmp.Or(job.Queue, r.config.Queue),
		Attempt:      job.Attempt,
		Executor:     r.config.ExecutorName,
		WorkspaceDir: dir,
		DockerAuth:   r.dockerAuth(job),
		Steps:        runtimeSteps(steps),
		Log:          log,
	}
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
