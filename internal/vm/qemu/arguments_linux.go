package qemu

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/open-executor/executor/internal/vm"
)

// Accelerators.
const (
	kvm = "kvm"
	tcg = "tcg"
)

// invocation is one start of the program. Files reach it by number, so that it needs no access to any directory.
type invocation struct {
	machine     vm.Machine
	accelerator string
	// Descriptors in the child.
	monitor, channel, console, kernel, initramfs int
	tap                                          int // 0 for no network
	drives                                       []int
}

// kernelArguments make the kernel quiet, and end the machine when it panics or restarts. Mounts and namespaces come and go with each step: they
// don't wait for the next tick (rcu_expedited). The kernel's cryptography is not tested at each boot.
func (i invocation) kernelArguments() string {
	words := []string{
		"console=ttyS0", "quiet", "loglevel=3", "reboot=t", "panic=-1", "rdinit=/init", "random.trust_cpu=on", "no_timer_check", "tsc=nowatchdog",
		"rcupdate.rcu_expedited=1", "cryptomgr.notests",
	}
	if i.accelerator == tcg {
		words = append(words, "mitigations=off") // what is translated speculates on nothing of the guest's
		if khz := frequency(); khz > 0 {
			words = append(words, fmt.Sprintf("tsc_early_khz=%d", khz))
		}
	}
	return strings.Join(append(words, i.machine.Arguments...), " ")
}

func (i invocation) arguments() []string {
	m := i.machine
	cpu := "host"
	accelerator := kvm
	if i.accelerator == tcg {
		// Without the fast string instructions (erms, fsrm) the kernel clears and copies pages by words, which are translated better than bytes. A
		// cache of 64 MiB for what was translated is full, and emptied, before the first step has begun.
		cpu, accelerator = "max,-erms,-fsrm", "tcg,thread=multi,tb-size=256"
	}
	args := []string{
		"-name", "guest=" + m.Name,
		"-machine", "microvm,acpi=on,rtc=on,pit=on,pic=on,isa-serial=on,auto-kernel-cmdline=off,usb=off,mem-merge=off,dump-guest-core=off",
		"-accel", accelerator,
		"-cpu", cpu,
		"-smp", strconv.Itoa(m.CPUs),
		"-m", fmt.Sprintf("size=%dk", m.Memory/1024),
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-kernel", descriptor(i.kernel),
		"-initrd", descriptor(i.initramfs),
		"-append", i.kernelArguments(),
		"-chardev", fmt.Sprintf("socket,id=monitor,fd=%d", i.monitor),
		"-mon", "chardev=monitor,mode=control",
		"-chardev", fmt.Sprintf("socket,id=console,fd=%d", i.console),
		"-serial", "chardev:console",
		"-device", "virtio-serial-device",
		"-chardev", fmt.Sprintf("socket,id=agent,fd=%d", i.channel),
		"-device", "virtserialport,chardev=agent,name=" + agentPort,
		"-object", "rng-random,id=entropy,filename=/dev/urandom",
		"-device", "virtio-rng-device,rng=entropy",
	}
	for n, drive := range m.Drives {
		args = append(args,
			"-add-fd", fmt.Sprintf("fd=%d,set=%d", i.drives[n], setOf(n)),
			"-blockdev", rawNode(n, drive.ReadOnly, fmt.Sprintf(
				`{"driver":"file","node-name":"%s","filename":"/dev/fdset/%d","read-only":%t,"locking":"off","discard":"unmap","cache":{"no-flush":true}}`,
				fileNode(n, 0), setOf(n), drive.ReadOnly)),
			"-device", fmt.Sprintf("virtio-blk-device,id=drive%d,drive=%s", n, nodeOf(n)),
		)
	}
	if i.tap != 0 {
		args = append(args,
			"-netdev", fmt.Sprintf("tap,id=network,fd=%d", i.tap),
			"-device", "virtio-net-device,netdev=network,mac="+m.Link.MAC.String(),
		)
	}
	return args
}

// rawNode describes the node that a drive's device holds on to, whatever file stands behind it.
func rawNode(n int, readOnly bool, file string) string {
	return fmt.Sprintf(`{"driver":"raw","node-name":"%s","read-only":%t,"discard":"unmap","file":%s}`, nodeOf(n), readOnly, file)
}

func descriptor(fd int) string       { return "/dev/fd/" + strconv.Itoa(fd) }
func nodeOf(n int) string            { return "drive" + strconv.Itoa(n) }
func fileNode(n, version int) string { return fmt.Sprintf("file%d-%d", n, version) }
func setOf(n int) int                { return 100 + n }
