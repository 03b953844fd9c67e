//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// A frontend that no longer knows a job as the executor's ends it there as fast, and never hears of it again.
func TestLostLeaseLeavesNothing(t *testing.T) {
	t.Parallel()
	testLostLease(t, onHost())
}

func testLostLease(t *testing.T, at place) {
	frontend := frontendtest.New(t)
	s := &stage{place: at}
	s.executor = harness.StartExecutor(t, frontend.URL(), t.TempDir(), at.runtime, "EXECUTOR_FRONTEND_PASSWORD="+frontendtest.Token,
		"EXECUTOR_MAXIMUM_NUM_JOBS=2", "EXECUTOR_STOP_GRACE_PERIOD="+grace.String())
	for _, script := range []string{polite, stubborn} {
		mark := newMark()
		steps := []api.DockerStep{{Image: at.image, Commands: []string{fmt.Sprintf(script, mark)}}}
		s.marks = append(s.marks, mark)
		s.ids = append(s.ids, frontend.Enqueue(api.Job{Queue: "default", DockerSteps: steps}))
	}
	for _, id := range s.ids {
		harness.Eventually(t, harness.Patience, "the step starts", func() bool {
			return slices.ContainsFunc(frontend.Entries(id), func(entry api.ExecutionLogEntry) bool {
				return strings.Contains(entry.Out, "stdout: started\n")
			})
		})
	}
	for _, id := range s.ids {
		frontend.Forget(id)
	}
	for i, id := range s.ids {
		lost := s.executor.LoggedAt("lease lost, stopping the job", fmt.Sprintf(`"job": "%d"`, id))
		ended := s.executor.LoggedAt("job ended without a lease, its result is dropped", fmt.Sprintf(`"jobID": %d`, id))
		require.Empty(t, s.left(t, i), "left when the job had ended")
		require.LessOrEqual(t, ended.Sub(lost), grace+promise)
	}
	s.executor.Signal(syscall.SIGTERM)
	require.Zero(t, s.executor.Wait(harness.Patience))
	require.Empty(t, harness.Residue(t, s.executor.TempDir))
	for _, request := range frontend.Requests() {
		require.NotContains(t, request.Path, "/mark", "a job without a lease is reported")
	}
}
