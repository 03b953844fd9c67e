package microvm

import (
	"context"
	"path/filepath"
	"regexp"
	"time"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
)

// DefaultGrace is the time between SIGTERM and SIGKILL unless Options say otherwise.
const DefaultGrace = 10 * time.Second

// overhead is what a machine gets besides the job's memory, in bytes: for its kernel, its agent, and files that are read.
const overhead = 192 << 20

// Options steer the runtime. Those without a default are required.
type Options struct {
	// CPUs is the number of CPUs of a machine.
	CPUs int
	// Memory is what the processes of a step may use, in bytes; MemoryShown is how the log tells it.
	Memory      int64
	MemoryShown string
	// Disk is the size of a job's disk, in bytes: its workspace, and all that its steps write elsewhere.
	Disk int64
	// PidsLimit bounds the processes and threads of a step; no limit but the guest's when 0.
	PidsLimit int
	// Kernel is what the driver boots, Initramfs has the agent.
	Kernel, Initramfs string
	// Root is the reference of the guest's own root image; RootAuth are the credentials for it.
	Root     string
	RootAuth api.DockerAuthConfig
	// Dir holds a directory for each machine. It is made with mode 0700 when missing, and must be one of the parents in the claim's record.
	Dir string
	// Prefix begins the names of machines, "<prefix>-<uuid>": letters, digits and hyphens.
	Prefix string
	// Pool is how many machines are kept booted for jobs to come.
	Pool int
	// StartupScript is the path of a script of the host that runs in each machine before the first step; empty for none.
	StartupScript string
	// Keep leaves machines running after their jobs, for debugging: until somebody ends them (Connect), or the runtime is closed.
	Keep bool
	// Sweep, when set, removes what the driver keeps of machines that are gone. It is called by Reap, and told which names still have a directory.
	Sweep func(ctx context.Context, alive func(name string) bool) error
	// Grace is the time that a stopped step has between SIGTERM and SIGKILL; DefaultGrace when 0.
	Grace time.Duration
	// Observe, when set, is told the log key, duration and error of each step.
	Observe func(key string, took time.Duration, err error)
}

var (
	validPrefix = regexp.MustCompile(`^[A-Za-z0-9-]{1,20}$`)
	validName   = regexp.MustCompile(`^[A-Za-z0-9-]{1,60}$`)
)

func (o Options) validated() (Options, error) {
	switch {
	case o.CPUs < 1:
		return o, fault.Operatorf("a microVM has %d CPUs; it needs at least one (EXECUTOR_JOB_NUM_CPUS)", o.CPUs)
	case o.Memory < 16<<20:
		return o, fault.Operatorf("a job in a microVM gets %s of memory; it needs at least 16M (EXECUTOR_JOB_MEMORY)", o.MemoryShown)
	case o.Disk < 64<<20:
		return o, fault.Operatorf("a job in a microVM gets a disk of %d bytes; it needs at least 64M (EXECUTOR_FIRECRACKER_DISK_SPACE)", o.Disk)
	case !validPrefix.MatchString(o.Prefix):
		return o, fault.Operatorf("names of microVMs can't begin with %q: letters, digits and hyphens are possible, 20 at most (EXECUTOR_VM_PREFIX)", o.Prefix)
	case o.Pool < 0:
		return o, fault.Operatorf("a pool of %d microVMs is impossible (EXECUTOR_VM_POOL)", o.Pool)
	case !filepath.IsAbs(o.Dir):
		return o, fault.Operatorf("the directory of microVMs %q is not absolute (EXECUTOR_VM_DIR)", o.Dir)
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	// Disks are cut in sectors.
	o.Disk &^= 1<<20 - 1
	return o, nil
}
