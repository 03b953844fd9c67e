// Package executorconfig is the executor's configuration: the table of its environment variables (spec section 2.1 and our
// own), and the typed, validated Config that Load makes of them.
package executorconfig

import (
	"net/netip"
	"net/url"
	"time"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/mounts"
)

// Config is a valid configuration. It is plain data, to be read only. Printing it shows no secret.
type Config struct {
	// Runtime is what EXECUTOR_RUNTIME asks for.
	Runtime Runtime
	// InKubernetes is true when the process runs in a Kubernetes pod.
	InKubernetes bool
	// Hostname begins the executor's name.
	Hostname string
	// TempDir is where workspaces go; it may have to be made.
	TempDir string
	// StateDir is where the executor keeps the locks by which others see that it lives; it may have to be made.
	StateDir string
	// DebugAddr is the debug server's host:port; empty for none.
	DebugAddr string

	Frontend    Frontend
	Queues      Queues
	Jobs        Jobs
	Metrics     Metrics
	Docker      Docker
	Firecracker Firecracker
	Kubernetes  Kubernetes
}

// Runtime is a value of EXECUTOR_RUNTIME.
type Runtime string

// shellBuild is true in a program that was built with the tag shell: there auto means the shell runtime (spec section 5.0).
var shellBuild bool

// Auto follows spec section 5.0 and never picks the shell runtime, but in a program that was built for nothing else.
const (
	RuntimeAuto        Runtime = "auto"
	RuntimeDocker      Runtime = "docker"
	RuntimeFirecracker Runtime = "firecracker"
	RuntimeKubernetes  Runtime = "kubernetes"
	RuntimeShell       Runtime = "shell"
)

// Frontend is where jobs come from.
type Frontend struct {
	// URL has scheme, host and perhaps a path; no user information.
	URL      *url.URL
	Password config.Secret[string]
}

// Queues are polled for jobs.
type Queues struct {
	// Names has at least one element and no element twice.
	Names []string
	// Multi selects the multi-queue form of the protocol; with it unset there is one name.
	Multi bool
	// PollInterval is the wait after a dequeue that brought no job.
	PollInterval time.Duration
}

// Jobs are the limits of jobs and of the process that runs them.
type Jobs struct {
	// Maximum is how many jobs run at a time.
	Maximum int
	// Total is after how many jobs the executor stops; 0 is never.
	Total int
	// MaximumRuntime bounds a job's wall-clock time; 0 is unbounded.
	MaximumRuntime time.Duration
	// MaxActiveTime is after what time the executor takes no more jobs; 0 is never.
	MaxActiveTime time.Duration
	// DrainTimeout bounds the wait for running jobs after the first signal; 0 is unbounded.
	DrainTimeout time.Duration
	// StopGracePeriod is the time between SIGTERM and SIGKILL of a step.
	StopGracePeriod time.Duration
	// NumCPUs is what a job may use; 0 is no limit.
	NumCPUs int
	// Memory is what a job may use in Docker's syntax ("12G"); "0" is no limit.
	Memory string
	// DiskSpace is a job's disk in the syntax of datasize ("20G"). Checked only for the Firecracker runtime.
	DiskSpace string
	// KeepWorkspaces leaves workspaces in place after their jobs.
	KeepWorkspaces bool
}

// Metrics are exporters whose metrics travel with the heartbeats. Empty base URLs are off.
type Metrics struct {
	NodeExporterURL               string
	DockerRegistryNodeExporterURL string
}

// Docker are the settings of the Docker runtime; the Firecracker runtime uses them inside the VM.
type Docker struct {
	// HostMountPath is the workspaces' parent directory as the Docker host sees it; empty when it is TempDir.
	HostMountPath  string
	AddHostGateway bool
	// Auth are credentials for registries, used when the job brings none.
	Auth             config.Secret[api.DockerAuthConfig]
	AdditionalMounts []mounts.Mount
	// PidsLimit bounds the processes of a step; 0 is no limit.
	PidsLimit int
}

// Firecracker are the settings of the microVM runtime.
type Firecracker struct {
	// Enabled is true when this runtime is asked for, directly or by EXECUTOR_USE_FIRECRACKER. The other members are then
	// valid; else they are as given.
	Enabled             bool
	Image               string
	KernelImage         string
	SandboxImage        string
	VMStartupScriptPath string
	VMPrefix            string
	DiskSpaceBytes      uint64
	RegistryMirrorURLs  []string
	CleanupInterval     time.Duration
	BandwidthIngress    int
	BandwidthEgress     int
	// Ignored names variables that are set and have no meaning with this runtime.
	Ignored []string
	// MemoryBytes is a job's memory.
	MemoryBytes uint64
	// VMDir holds kernel, disks and machines.
	VMDir string
	// Driver runs machines.
	Driver VMDriver
	// Pool is how many machines are kept ready.
	Pool int
	// ImageCacheBytes bounds the disks made of images.
	ImageCacheBytes uint64
	// Network is false for machines without one.
	Network bool
	// Subnet is where machines get their addresses from.
	Subnet netip.Prefix
	// EgressAllow is the text of rules, to be parsed by internal/vm/network.
	EgressAllow string
}

// VMDriver is a value of EXECUTOR_VM_DRIVER.
type VMDriver string

// The drivers. Auto takes Firecracker where it can run.
const (
	DriverAuto        VMDriver = "auto"
	DriverQEMU        VMDriver = "qemu"
	DriverFirecracker VMDriver = "firecracker"
)
