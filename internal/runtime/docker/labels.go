package docker

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/runtime"
)

// Labels of every container. They are how containers are found again: by owner and session, never by name.
const (
	labelManagedBy = "open-executor.managed-by"
	labelExecutor  = "open-executor.executor"
	labelQueue     = "open-executor.queue"
	labelJob       = "open-executor.job"
	labelAttempt   = "open-executor.attempt"
	labelSession   = "open-executor.session"
	// labelDeadline is the end of the job's time, RFC 3339 in UTC; absent when it has none.
	labelDeadline = "open-executor.deadline"

	managedBy = labelManagedBy + "=executor"
)

// labels are the labels of a step's container, "key=value", in a fixed order.
func labels(ctx context.Context, job runtime.Job, session string) []string {
	all := []string{
		managedBy,
		labelExecutor + "=" + job.Executor,
		labelQueue + "=" + job.Queue,
		labelJob + "=" + strconv.FormatInt(job.ID, 10),
		labelAttempt + "=" + strconv.Itoa(job.Attempt),
		labelSession + "=" + session,
	}
	if deadline, ok := ctx.Deadline(); ok {
		all = append(all, labelDeadline+"="+deadline.UTC().Format(time.RFC3339))
	}
	return all
}

// container is one of ours as the engine lists it.
type container struct {
	id, executor, session string
	// deadline is zero when there is none.
	deadline time.Time
}

var listFormat = fmt.Sprintf("{{.ID}}\t{{.Label %q}}\t{{.Label %q}}\t{{.Label %q}}", labelExecutor, labelSession, labelDeadline)

func parseList(out string) []container {
	var all []container
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
		if len(fields) != 4 || fields[0] == "" {
			continue
		}
		c := container{id: fields[0], executor: fields[1], session: fields[2]}
		c.deadline, _ = time.Parse(time.RFC3339, fields[3]) // the zero time when it is absent
		all = append(all, c)
	}
	return all
}
