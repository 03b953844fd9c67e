package firecracker

import (
	"crypto/rand"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/drivertest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t *testing.T) drivertest.Harness {
		r := newRig(t)
		return drivertest.Harness{
			Driver: r.Driver,
			Machine: func(t *testing.T) vm.Machine {
				machine := r.machine(t, behavior{})
				machine.Name = "test-" + rand.Text()
				return machine
			},
			Another: func(t *testing.T, drive int) *os.File {
				flags := os.O_RDONLY
				if drive == 1 {
					flags = os.O_RDWR
				}
				made := file(t, "another", flags)
				// The kit closes what it gets; file closes what it makes.
				again, err := os.OpenFile(made.Name(), flags, 0)
				require.NoError(t, err)
				return again
			},
			Kill: func(t *testing.T, i vm.Instance) {
				require.NoError(t, i.(*instance).cmd.Process.Kill())
			},
			RequireNothing: r.requireNothing,
		}
	})
}
