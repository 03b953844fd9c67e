//go:build e2e && docker

package e2e

import (
	"testing"

	"github.com/open-executor/executor/e2e/harness"
)

func inContainers(t *testing.T) place { return place{"docker", harness.Image(t)} }

// The same as for processes of the host, with the container itself, and the client that started it, gone as well.
func TestStoppedJobsInContainersLeaveNothing(t *testing.T) {
	t.Parallel()
	testStops(t, inContainers(t))
}

func TestLostLeaseInContainersLeavesNothing(t *testing.T) {
	t.Parallel()
	testLostLease(t, inContainers(t))
}
