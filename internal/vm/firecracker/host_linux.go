package firecracker

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/vm/network"
)

// timing bounds waits for the monitor.
type timing struct {
	// request is for one request of the API but the snapshots', which write or read the guest's memory.
	request, snapshot time.Duration
	// dial is from the first use of the channel until the guest agent takes it; answer is from the first byte of the monitor's answer on
	// until its last.
	dial, answer time.Duration
}

var defaultTiming = timing{request: 20 * time.Second, snapshot: 5 * time.Minute, dial: 5 * time.Minute, answer: 5 * time.Second}

// host is what needs root or a certain machine: tests put something else in its place.
type host struct {
	// kvm is a device, cgroups where control groups of version 2 are mounted.
	kvm, cgroups string
	// chown gives a file to a user and a group.
	chown func(file *os.File, uid, gid int) error
	// owns tells whether something belongs to a user.
	owns func(info fs.FileInfo, uid int) bool
	// own lets a user open a tap, disown nobody but root.
	own    func(link *network.Link, uid int) error
	disown func(link *network.Link) error
	// attributes are the keeper's.
	attributes func() *syscall.SysProcAttr
}

func thisHost() (host, error) {
	if os.Geteuid() != 0 {
		return host{}, fault.Operatorf("Firecracker's jailer has to be started by root, who gives each machine a user of its own; this is user %d", os.Geteuid())
	}
	cgroups, err := cgroupMount()
	if err != nil {
		return host{}, err
	}
	return realHost(cgroups), nil
}

func realHost(cgroups string) host {
	return host{
		kvm:     "/dev/kvm",
		cgroups: cgroups,
		chown:   (*os.File).Chown,
		owns: func(info fs.FileInfo, uid int) bool {
			stat, ok := info.Sys().(*syscall.Stat_t)
			return ok && int(stat.Uid) == uid
		},
		own:    ownTap,
		disown: disownTap,
		attributes: func() *syscall.SysProcAttr {
			return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWPID}
		},
	}
}

func (h host) checkKVM() error {
	kvm, err := os.OpenFile(h.kvm, os.O_RDWR, 0)
	if err != nil {
		return fault.Operatorf("Firecracker needs KVM, which this host doesn't offer: %w; switch virtualization on in the firmware or, on a "+
			"cloud machine, take a type with nested virtualization, and load the kernel module kvm_intel or kvm_amd", err)
	}
	return kvm.Close()
}

// makeDir makes the directory for the jails, in which nobody else may put anything.
func makeDir(dir string) (string, error) {
	if !filepath.IsAbs(dir) {
		return "", fault.Operatorf("the directory for microVMs is %q; it has to be an absolute path", dir)
	}
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fault.Operatorf("the directory for microVMs: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return "", fault.Operatorf("the directory for microVMs, %s, has the mode %#o; let nobody but its owner write to it (chmod go-w)", dir, mode)
	}
	return dir, nil
}

// checkMount refuses a file system on which a jail would have no devices or no program.
func checkMount(dir string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return checkFlags(dir, stat.Flags)
}

func checkFlags(dir string, flags int64) error {
	if flags&(unix.ST_NODEV|unix.ST_NOEXEC) != 0 {
		return fault.Operatorf("%s lies on a file system that is mounted with nodev or noexec: microVMs have a program and devices there; "+
			"choose another one", dir)
	}
	return nil
}

func ownTap(link *network.Link, uid int) error {
	if link.Tap != nil {
		return fmt.Errorf("tap %s: Firecracker opens taps by name, so it must be made with network.Options.Persistent", link.Name)
	}
	return link.SetOwner(uid)
}

// disownTap is for when the machine has ended; its link may have ended before it.
func disownTap(link *network.Link) error {
	if _, err := net.InterfaceByName(link.Name); err != nil {
		return nil
	}
	return link.SetOwner(0)
}

// cgroupMount finds what the jailer finds: the first mounted hierarchy of version 2.
func cgroupMount() (string, error) {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[2] != "cgroup2" {
			continue
		}
		controllers, err := os.ReadFile(fields[1] + "/cgroup.controllers")
		if err != nil {
			return "", fault.Operatorf("control groups: %w", err)
		}
		for _, needed := range []string{"memory", "pids"} {
			if !slices.Contains(strings.Fields(string(controllers)), needed) {
				return "", fault.Operatorf("control groups of version 2, mounted at %s, have no controller %q; boot with "+
					"systemd.unified_cgroup_hierarchy=1", fields[1], needed)
			}
		}
		return fields[1], nil
	}
	return "", fault.Operatorf("Firecracker's jailer needs control groups of version 2, and none are mounted; " +
		"boot with systemd.unified_cgroup_hierarchy=1")
}
