package agent

import (
	"context"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/job"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/worker"
)

// resume makes jobs to go on with of what an executor before this one has left. What can't be gone on with is removed: the frontend runs those jobs again.
func (a *Agent) resume(ctx context.Context, runner *job.Runner, orphans []runtime.Orphan) []worker.Resumed {
	var all []worker.Resumed
	for _, orphan := range orphans {
		left, err := job.Recall(ctx, orphan)
		if err != nil {
			a.logger.Warn("a job of the executor before this one can't be gone on with", log.Error(err))
			if err := orphan.Discard(ctx); err != nil {
				a.logger.Warn("its pod could not be removed", log.Error(err))
			}
			continue
		}
		all = append(all, worker.Resumed{Job: left.Job, Began: left.Began, Handle: func(ctx context.Context) error {
			return a.progress.counting(func() error { return runner.Resume(ctx, left) })
		}})
	}
	return all
}
