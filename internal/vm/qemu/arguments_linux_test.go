package qemu

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/network"
)

func call(accelerator string) invocation {
	mac, _ := net.ParseMAC("02:00:00:00:00:01")
	return invocation{
		machine: vm.Machine{
			Name: "executor-1", CPUs: 2, Memory: 512 << 20, Arguments: []string{"extra=1"},
			Drives: []vm.Drive{{ReadOnly: true}, {}}, Link: &network.Link{MAC: mac},
		},
		accelerator: accelerator, monitor: 3, channel: 4, console: 5, kernel: 6, initramfs: 7, drives: []int{8, 9}, tap: 10,
	}
}

// valuesOf are the values that follow a flag.
func valuesOf(args []string, flag string) []string {
	var values []string
	for i := range len(args) - 1 {
		if args[i] == flag {
			values = append(values, args[i+1])
		}
	}
	return values
}

func TestMachinesAreConfined(t *testing.T) {
	t.Parallel()
	args := call(kvm).arguments()
	require.Equal(t, []string{"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"}, valuesOf(args, "-sandbox"))
	for _, flag := range []string{"-nodefaults", "-no-user-config", "-no-reboot"} {
		require.Contains(t, args, flag)
	}
	require.Contains(t, valuesOf(args, "-machine")[0], "mem-merge=off")
	// No path of the host but devices and its own descriptors.
	for _, word := range args {
		if at := strings.Index(word, "/"); at >= 0 {
			require.True(t, strings.HasPrefix(word[at:], "/dev/fd/") || strings.HasPrefix(word[at:], "/dev/fdset/") || strings.HasPrefix(word[at:], "/dev/urandom") || strings.Contains(word, "rdinit=/init"), word)
		}
	}
}

func TestAcceleratorsHaveTheirOwnCPU(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"host"}, valuesOf(call(kvm).arguments(), "-cpu"))
	require.NotContains(t, valuesOf(call(kvm).arguments(), "-append")[0], "mitigations")
	require.Equal(t, []string{"max,-erms,-fsrm"}, valuesOf(call(tcg).arguments(), "-cpu"))
	require.Regexp(t, " mitigations=off (tsc_early_khz=[1-9][0-9]{5,} )?extra=1$", valuesOf(call(tcg).arguments(), "-append")[0])
	require.NotContains(t, valuesOf(call(kvm).arguments(), "-append")[0], "tsc_early_khz")
}

func TestDrivesComeInOrder(t *testing.T) {
	t.Parallel()
	args := call(kvm).arguments()
	nodes := valuesOf(args, "-blockdev")
	require.Len(t, nodes, 2)
	require.Contains(t, nodes[0], `"node-name":"drive0","read-only":true`)
	require.Contains(t, nodes[1], `"node-name":"drive1","read-only":false`)
	devices := valuesOf(args, "-device")
	require.Less(t, slices.Index(devices, "virtio-blk-device,id=drive0,drive=drive0"), slices.Index(devices, "virtio-blk-device,id=drive1,drive=drive1"))
	require.Contains(t, devices, "virtio-net-device,netdev=network,mac=02:00:00:00:00:01")
	require.Equal(t, []string{"size=524288k"}, valuesOf(args, "-m"))
}

func TestFailedStartGivesNoInstance(t *testing.T) {
	t.Parallel()
	d, err := New(logtest.Scoped(t), Options{Program: "true", Accelerator: tcg})
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	dir := t.TempDir()
	for _, kernel := range []string{filepath.Join(dir, "missing"), "/dev/null"} {
		i, err := d.Start(t.Context(), vm.Machine{Name: "test", CPUs: 1, Memory: 64 << 20, Kernel: kernel, Initramfs: "/dev/null"})
		require.Error(t, err, kernel)
		require.True(t, i == nil, "not even one of a type: the caller compares with nil")
	}
}
