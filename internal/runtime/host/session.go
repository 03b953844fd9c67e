package host

import (
	"crypto/rand"
	"fmt"

	"github.com/open-executor/executor/internal/runtime"
)

// SessionName returns a name for a session of a job that no other session has had.
func SessionName(job runtime.Job) string {
	return fmt.Sprintf("%s/%s/%d/%d/%s", job.Executor, job.Queue, job.ID, job.Attempt, rand.Text())
}
