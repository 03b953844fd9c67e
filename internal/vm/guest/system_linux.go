package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/vm/boot"
)

// pause is the time between two tries of poll.
const pause = 4 * time.Millisecond

// appear bounds the wait for a device whose driver has just been loaded.
const appear = 10 * time.Second

type mount struct {
	source, target, kind string
	flags                uintptr
	data                 string
}

func (m mount) do() error {
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
		return fmt.Errorf("mounting %s (%s) on %s: %w", m.source, m.kind, m.target, err)
	}
	return nil
}

func mountAll(mounts ...mount) error {
	for _, m := range mounts {
		if err := m.do(); err != nil {
			return err
		}
	}
	return nil
}

const safe = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// searchPath is where the guest's own programs are: the kernel starts its first process without any.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Start makes a system of what the kernel has unpacked: kernel file systems, modules, and the guest's own root in place of the initramfs.
func Start() error {
	if err := os.Setenv("PATH", searchPath); err != nil {
		return err
	}
	err := mountAll(
		mount{"devtmpfs", "/dev", "devtmpfs", unix.MS_NOSUID | unix.MS_NOEXEC, "mode=0755"},
		mount{"proc", "/proc", "proc", safe, ""},
		mount{"sysfs", "/sys", "sysfs", safe, ""},
	)
	if err != nil {
		return err
	}
	if err := loadModules("/" + boot.ModulesDir); err != nil {
		return err
	}
	return enterRoot()
}

// loadModules loads the modules in a directory by the order of their names.
func loadModules(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(files))
	for _, file := range files {
		names = append(names, file.Name())
	}
	slices.Sort(names)
	for _, name := range names {
		if err := loadModule(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("loading the kernel module %s: %w", boot.ModuleOf(name), err)
		}
	}
	return nil
}

func loadModule(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	err = unix.FinitModule(int(file.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENODEV) {
		return nil // loaded, or for hardware that isn't there
	}
	return err
}

// enterRoot puts the guest's root, with a writable layer in memory, in place of the initramfs, whose memory is given back.
func enterRoot() error {
	if err := awaitFile(drive(0)); err != nil {
		return fmt.Errorf("the drive with the guest's root: %w", err)
	}
	err := mountAll(
		mount{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
		mount{drive(0), "/run/lower", "squashfs", unix.MS_RDONLY | unix.MS_NODEV, ""},
		mount{"tmpfs", "/run/upper", "tmpfs", 0, "mode=0755,size=25%"},
	)
	if err != nil {
		return err
	}
	if err := errors.Join(os.Mkdir("/run/upper/files", 0o755), os.Mkdir("/run/upper/work", 0o755)); err != nil {
		return err
	}
	const root = "/run/root"
	if err := (mount{"overlay", root, "overlay", unix.MS_NODEV, "lowerdir=/run/lower,upperdir=/run/upper/files,workdir=/run/upper/work"}).do(); err != nil {
		return err
	}
	for _, dir := range []string{"/dev", "/proc", "/sys"} {
		if err := os.MkdirAll(root+dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(dir, root+dir, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("moving %s: %w", dir, err)
		}
	}
	err = errors.Join(os.RemoveAll("/"+boot.ModulesDir), os.Remove("/"+boot.AgentPath), os.Chdir(root))
	if err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("moving the guest's root: %w", err)
	}
	if err := errors.Join(unix.Chroot("."), os.Chdir("/")); err != nil {
		return fmt.Errorf("entering the guest's root: %w", err)
	}
	return mountAll(
		mount{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
		mount{"tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777,size=25%"},
		mount{"devpts", "/dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666"},
		mount{"tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
		mount{drive(0), ownRoot, "squashfs", unix.MS_RDONLY | unix.MS_NODEV, ""},
		mount{"cgroup2", cgroupRoot, "cgroup2", safe, ""},
	)
}

// ownRoot is where the guest's own root is mounted without the layer above it.
const ownRoot = "/run/root"

// drive is the device of the i-th drive.
func drive(i int) string { return "/dev/vd" + string(rune('a'+i)) }

// awaitFile waits for a device's file, which the kernel makes once the driver has found the device.
func awaitFile(path string) error {
	return poll(appear, func() (retry bool, err error) {
		_, err = os.Stat(path)
		return errors.Is(err, fs.ErrNotExist), err
	})
}

// poll tries something, every few milliseconds, for as long as it asks for a retry and the limit isn't over. It is for what the kernel does on
// its own time and doesn't announce.
func poll(limit time.Duration, try func() (retry bool, err error)) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(pause) {
		retry, err := try()
		if !retry || time.Now().After(deadline) {
			return err
		}
	}
}

// PowerOff ends the machine. It returns only when that is impossible.
func PowerOff() error {
	unix.Sync()
	// A reset: the monitor takes it for the end, and it works without the help of firmware.
	return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}
