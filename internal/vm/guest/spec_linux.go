package guest

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/user"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/vm/channel"
)

// dataDir is the workspace inside a container (spec section 5.1).
const dataDir = "/data"

// capabilities are those that containers have by default with Docker.
var capabilities = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE",
	"CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// masked and readOnly are paths through which a process could learn about or change the kernel.
var (
	masked = []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
		"/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
	}
	readOnly = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// newSpec is a container's configuration (OCI runtime specification). Its network is the guest's, which is its own already; its limits are
// those of the group that it is started in; its seccomp filter is the caller's business.
func newSpec(c channel.Container, rootfs, workspace string) (*specs.Spec, error) {
	owner, home, err := lookUpUser(rootfs, c.User)
	if err != nil {
		return nil, err
	}
	env := c.Env
	if !slices.ContainsFunc(env, func(pair string) bool { return strings.HasPrefix(pair, "HOME=") }) {
		env = append(slices.Clone(env), "HOME="+home)
	}
	hostname, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	spec := &specs.Spec{
		Version:  "1.0.2",
		Hostname: hostname,
		Root:     &specs.Root{Path: rootfs},
		Process: &specs.Process{
			User: owner,
			Args: c.Args,
			Env:  env,
			Cwd:  c.Dir,
			Capabilities: &specs.LinuxCapabilities{
				Bounding: capabilities, Permitted: capabilities, Effective: capabilities,
			},
			NoNewPrivileges: true,
		},
		Mounts: mountsOf(workspace),
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.CgroupNamespace},
			},
			MaskedPaths:   masked,
			ReadonlyPaths: readOnly,
		},
	}
	if owner.UID != 0 {
		spec.Process.Capabilities.Effective, spec.Process.Capabilities.Permitted = nil, nil
	}
	return spec, nil
}

func mountsOf(workspace string) []specs.Mount {
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777"}},
		{Destination: dataDir, Type: "bind", Source: workspace, Options: []string{"rbind", "rw"}},
	}
	for _, file := range []string{"/etc/resolv.conf", "/etc/hostname", "/etc/hosts"} {
		mounts = append(mounts, specs.Mount{Destination: file, Type: "bind", Source: file, Options: []string{"rbind", "ro"}})
	}
	return mounts
}

// maxNames bounds an image's lists of users and groups, in bytes.
const maxNames = 1 << 20

// lookUpUser finds the user of an image's configuration in its own lists.
func lookUpUser(rootfs, name string) (specs.User, string, error) {
	root, err := os.OpenRoot(rootfs)
	if err != nil {
		return specs.User{}, "", err
	}
	defer func() { _ = root.Close() }()
	list := func(path string) io.Reader {
		file, err := root.Open(filepath.FromSlash(path))
		if err != nil {
			return strings.NewReader("") // an image needs none
		}
		defer func() { _ = file.Close() }()
		if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
			return strings.NewReader("")
		}
		text, err := io.ReadAll(io.LimitReader(file, maxNames))
		if err != nil {
			return strings.NewReader("")
		}
		return strings.NewReader(string(text))
	}
	found, err := user.GetExecUser(name, &user.ExecUser{Home: "/"}, list("etc/passwd"), list("etc/group"))
	if err != nil {
		return specs.User{}, "", fault.Userf("the image's user %q: %w", name, err)
	}
	owner := specs.User{UID: uint32(found.Uid), GID: uint32(found.Gid)}
	for _, gid := range found.Sgids {
		owner.AdditionalGids = append(owner.AdditionalGids, uint32(gid))
	}
	return owner, found.Home, nil
}
