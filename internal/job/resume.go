package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/steplog"
)

// What a job keeps where a later executor finds it, should this one die.
const (
	keptJob = "job"
	keptLog = "log"
)

// setupPrefix begins the keys of what comes before the first step.
const setupPrefix = "setup."

// keptVersion is that of the form in which it is kept: executors of different versions may follow each other.
const keptVersion = 1

// kept is what stays the same once the session is open. All of it is as secret as the job.
type kept struct {
	Version int `json:"version"`
	// Job is without its files, which are in the workspace.
	Job     api.Job   `json:"job"`
	Scripts []string  `json:"scripts"`
	Began   time.Time `json:"began"`
}

const (
	// syncTime bounds the wait for the log of what came before the session: nobody could send it later.
	syncTime = 10 * time.Second
	// keepTime bounds the storing of something.
	keepTime = time.Minute
)

// keeping stores, until it ends, what a later executor needs to go on with a job.
type keeping struct {
	logger  log.Logger
	session runtime.Keeper
	records func() []steplog.Record
	going   sync.WaitGroup
}

// keep begins to store when the session can. A job that can't be stored runs all the same. The function that it returns ends it.
func (r *Runner) keep(ctx context.Context, session runtime.Session, what kept, records *steplog.Logger, changed <-chan struct{}) (end func()) {
	keeper, can := session.(runtime.Keeper)
	if !can {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	k := &keeping{logger: r.logger.With(log.Int64("jobID", what.Job.ID)), session: keeper, records: records.Records}
	sending, done := context.WithTimeout(ctx, syncTime)
	err := records.Sync(sending)
	done()
	if err == nil {
		err = k.begin(ctx, what)
	}
	if err != nil {
		k.warn(ctx, err)
		cancel()
		return func() {}
	}
	k.going.Go(func() { k.follow(ctx, changed) })
	return func() {
		cancel()
		k.going.Wait()
	}
}

func (k *keeping) warn(ctx context.Context, err error) {
	if ctx.Err() == nil {
		k.logger.Warn("no other executor can go on with this job should this one die", log.Error(err))
	}
}

// begin stores the log first: by the job a successor sees that it can go on.
func (k *keeping) begin(ctx context.Context, what kept) error {
	if err := k.put(ctx, keptLog, k.records()); err != nil {
		return err
	}
	what.Version, what.Job.Files = keptVersion, nil
	return k.put(ctx, keptJob, what)
}

// follow stores the records of the log whenever they change.
func (k *keeping) follow(ctx context.Context, changed <-chan struct{}) {
	for {
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
		if err := k.put(ctx, keptLog, k.records()); err != nil {
			k.warn(ctx, err)
		}
	}
}

func (k *keeping) put(ctx context.Context, name string, what any) error {
	content, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("keeping the %s: %w", name, err)
	}
	if len(content) > runtime.MaxKept {
		return fmt.Errorf("keeping the %s: it has %d bytes, and at most %d are kept", name, len(content), runtime.MaxKept)
	}
	ctx, cancel := context.WithTimeout(ctx, keepTime)
	defer cancel()
	if err := k.session.Keep(ctx, name, content); err != nil {
		return fmt.Errorf("keeping the %s: %w", name, err)
	}
	return nil
}

// Resumption is a job of an executor that is no more, which this one can go on with.
type Resumption struct {
	// Job has no files.
	Job api.Job
	// Began is when it was begun.
	Began time.Time

	scripts []string
	records []steplog.Record
	orphan  runtime.Orphan
}

// Recall reads what an executor that is no more has kept of a job. On error the orphan is still to be discarded.
func Recall(ctx context.Context, orphan runtime.Orphan) (Resumption, error) {
	var what kept
	var records []steplog.Record
	for name, into := range map[string]any{keptJob: &what, keptLog: &records} {
		content, err := orphan.Recall(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			return Resumption{}, errors.New("its executor died before the job was ready to be gone on with")
		}
		if err == nil {
			err = json.Unmarshal(content, into)
		}
		if err != nil {
			return Resumption{}, fmt.Errorf("recalling the %s: %w", name, err)
		}
	}
	if what.Version != keptVersion {
		return Resumption{}, fmt.Errorf("the job was kept in version %d of the form, and this executor knows %d", what.Version, keptVersion)
	}
	// Nothing is set up again: entries of that kind are new ones.
	records = slices.DeleteFunc(records, func(r steplog.Record) bool { return strings.HasPrefix(r.Key, setupPrefix) })
	return Resumption{Job: what.Job, Began: what.Began, scripts: what.Scripts, records: records, orphan: orphan}, nil
}

// Resume runs the rest of a job as Handle does.
func (r *Runner) Resume(ctx context.Context, resumption Resumption) error {
	job := resumption.Job
	return r.handle(ctx, job, resumption.records, func(_ Client, logger *steplog.Logger, changed <-chan struct{}) error {
		open := func(steps []step) (runtime.Session, error) {
			return resumption.orphan.Resume(ctx, r.runtimeJob(job, "", steps, logger))
		}
		return r.runIn(ctx, kept{Job: job, Scripts: resumption.scripts, Began: resumption.Began}, open, logger, changed)
	})
}
