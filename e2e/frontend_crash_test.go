//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/apiclient"
)

// A frontend that is killed again and again while jobs are submitted and run loses none that it acknowledged, and each of them runs
// exactly once.
func TestFrontendIsKilledDuringSubmissions(t *testing.T) {
	t.Parallel()
	const submitters, kills, acknowledged = 4, 3, 12
	ran := t.TempDir()
	frontend := harness.StartFrontend(t)
	harness.StartExecutor(t, frontend.URL, t.TempDir(), "shell", "EXECUTOR_MAXIMUM_NUM_JOBS=4")
	files := map[int64]string{}
	for round := range kills + 1 {
		s := startSubmitters(harness.Context(t), frontend.Client, submitters, filepath.Join(ran, strconv.Itoa(round)))
		// The kill comes at a random moment after some acknowledgements.
		for range acknowledged + rand.IntN(acknowledged) {
			job := <-s.acknowledged
			files[job.id] = job.file
		}
		if round < kills {
			frontend.Kill()
		}
		for _, job := range s.stop() {
			files[job.id] = job.file
		}
		if round < kills {
			frontend.Restart(t)
		}
	}
	require.GreaterOrEqual(t, len(files), acknowledged*(kills+1))
	for id, file := range files {
		job, _ := frontend.Await(t, id)
		require.Equal(t, jobs.Completed, job.State, "job %d: %s", id, job.Reason)
		// A kill between the lease and its answer loses the lease, which nobody knows of, and nothing else.
		for _, lost := range job.Attempts[:len(job.Attempts)-1] {
			require.Equal(t, "lost", lost.Cause)
			require.Empty(t, lost.Entries)
		}
		require.LessOrEqual(t, len(job.Attempts), kills+1)
		written, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, "\n", string(written), "job %d ran otherwise than once", id)
	}
}

// submission is an acknowledged job and the file that it adds a line to.
type submission struct {
	id   int64
	file string
}

// submitters submit jobs until they are stopped; they pass over submissions that fail.
type submitters struct {
	acknowledged chan submission
	done         chan struct{}
	all          sync.WaitGroup
}

func startSubmitters(ctx context.Context, client *apiclient.Client, count int, prefix string) *submitters {
	s := &submitters{acknowledged: make(chan submission), done: make(chan struct{})}
	for i := range count {
		s.all.Go(func() {
			for n := 0; ; n++ {
				file := fmt.Sprintf("%s-%d-%d", prefix, i, n)
				step := jobs.Step{Key: "0", Image: "none", Run: []string{"echo >> " + file}}
				job, err := client.Submit(ctx, jobs.Spec{Queue: "default", Steps: []jobs.Step{step}})
				if err == nil {
					s.acknowledged <- submission{job.ID, file}
				}
				select {
				case <-s.done:
					return
				default:
				}
			}
		})
	}
	return s
}

// stop returns what was acknowledged since the last receive.
func (s *submitters) stop() []submission {
	close(s.done)
	go func() {
		s.all.Wait()
		close(s.acknowledged)
	}()
	var rest []submission
	for job := range s.acknowledged {
		rest = append(rest, job)
	}
	return rest
}

// A job goes on while its frontend is killed and away for a while. It completes once, and its log has every line once and in order.
func TestFrontendIsKilledWhileAJobRuns(t *testing.T) {
	t.Parallel()
	frontend := harness.StartFrontend(t)
	executor := harness.StartExecutor(t, frontend.URL, t.TempDir(), "shell")
	gate := newGate(t)
	script := fmt.Sprintf("n=0; until [ -e %s ]; do n=$((n+1)); echo $n; sleep 0.05; done", gate.file)
	submitted := frontend.Submit(t, fmt.Sprintf("steps: [{image: none, run: %q}]", script))
	frontend.AwaitLog(t, submitted.ID, "stdout: 10\n")
	frontend.Kill()
	executor.AwaitOutput("heartbeat failed")
	frontend.Restart(t)
	gate.open(t)

	job, log := frontend.Await(t, submitted.ID)
	require.Equal(t, jobs.Completed, job.State)
	require.Len(t, job.Attempts, 1)
	n := 0
	for line := range strings.Lines(log) {
		if text, ok := strings.CutPrefix(line, "stdout: "); ok {
			n++
			require.Equal(t, strconv.Itoa(n)+"\n", text)
		}
	}
	require.Greater(t, n, 10)
}
