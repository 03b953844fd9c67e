//go:build vm && linux

package qemu

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/drivertest"
	"github.com/open-executor/executor/internal/vm/vmtest"
)

func TestConformance(t *testing.T) {
	kit := vmtest.Make(t)
	drivertest.Run(t, func(t *testing.T) drivertest.Harness {
		driver, err := New(logtest.Scoped(t), Options{Accelerator: tcg})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, driver.Close()) })
		mark := owner.Mark("test-" + rand.Text())
		return drivertest.Harness{
			Driver: driver,
			Machine: func(t *testing.T) vm.Machine {
				return vm.Machine{
					Name: "test-" + rand.Text(), CPUs: 1, Memory: 256 << 20, Kernel: kit.Kernel, Initramfs: kit.Initramfs, Env: []string{mark},
					Drives: []vm.Drive{{File: open(t, kit.Root, os.O_RDONLY), ReadOnly: true}, {File: open(t, vmtest.Blank(t), os.O_RDWR)}},
				}
			},
			Another: func(t *testing.T, drive int) *os.File {
				path, flags := kit.Image, os.O_RDONLY
				if drive == 1 {
					path, flags = vmtest.Blank(t), os.O_RDWR
				}
				file, err := os.OpenFile(path, flags, 0)
				require.NoError(t, err)
				return file
			},
			Kill: func(t *testing.T, i vm.Instance) {
				require.NoError(t, i.(*instance).cmd.Process.Kill())
			},
			RequireNothing: func(t *testing.T) {
				environments, err := filepath.Glob("/proc/[0-9]*/environ")
				require.NoError(t, err)
				for _, path := range environments {
					env, _ := os.ReadFile(path) // it may have ended meanwhile
					require.False(t, bytes.Contains(env, []byte(mark)), path)
				}
			},
		}
	})
}
