package executorconfig

import (
	"fmt"
	"path/filepath"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/fault"
)

// Load reads and checks the whole configuration. Its error is of class operator and names every bad variable: first those whose
// value can't be read, in the order of spec section 2.1, then those that break a rule, in that section's order of
// rules; our own come last in both. It shows no secret. The Config is zero on error.
func Load(env config.Lookup, host config.Host) (Config, error) {
	l := &loader{host: host}
	l.cfg.InKubernetes = inKubernetes(env)
	l.cfg.Hostname = valueOr(env, "HOSTNAME", host.Hostname)
	l.cfg.TempDir = host.Abs(valueOr(env, "TMPDIR", systemTempDir))
	l.Reader = config.NewReader(table, env, map[string]string{
		"EXECUTOR_USE_FIRECRACKER":         strconv.FormatBool(host.OS == "linux" && !l.cfg.InKubernetes),
		"EXECUTOR_FIRECRACKER_IMAGE":       "sourcegraph/executor-vm:" + imageTag(host.Version),
		"KUBERNETES_SINGLE_JOB_STEP_IMAGE": "sourcegraph/executor-kubernetes:" + imageTag(host.Version),
	})
	l.read()
	l.fillPaths(env)
	for _, check := range rules {
		check(l)
	}
	if err := config.Join(append(l.Errors(), l.broken...)); err != nil {
		return Config{}, fault.As(fault.Operator, err)
	}
	return l.cfg, nil
}

// systemVMDir is where root's microVMs are when EXECUTOR_VM_DIR says nothing.
const systemVMDir = "/var/lib/executor/vm"

// systemTempDir is where temporary files go when TMPDIR says nothing.
const systemTempDir = "/tmp"

// loader carries a configuration through reading and checking.
type loader struct {
	*config.Reader
	host config.Host
	cfg  Config
	// frontendURL and useFirecracker wait for their rules.
	frontendURL    string
	useFirecracker bool
	// imageCache, network and subnet as well.
	imageCache, network, subnet string
	// broken are the rule errors.
	broken []error
}

func (l *loader) failf(format string, args ...any) {
	l.broken = append(l.broken, fmt.Errorf(format, args...))
}

// read reads what can fail to be read, in the order of spec section 2.1, and then our own variables. What can't fail is read
// by the rule that checks it.
func (l *loader) read() {
	cfg := &l.cfg
	l.frontendURL = l.String("EXECUTOR_FRONTEND_URL")
	cfg.Frontend.Password = config.NewSecret(l.String("EXECUTOR_FRONTEND_PASSWORD"))
	cfg.Queues.PollInterval = l.Duration("EXECUTOR_QUEUE_POLL_INTERVAL")
	cfg.Jobs.Maximum = l.Int("EXECUTOR_MAXIMUM_NUM_JOBS")
	l.useFirecracker = l.Bool("EXECUTOR_USE_FIRECRACKER")
	cfg.Firecracker.Image = l.String("EXECUTOR_FIRECRACKER_IMAGE")
	cfg.Firecracker.KernelImage = l.String("EXECUTOR_FIRECRACKER_KERNEL_IMAGE")
	cfg.Firecracker.SandboxImage = l.String("EXECUTOR_FIRECRACKER_SANDBOX_IMAGE")
	cfg.Firecracker.VMStartupScriptPath = l.Optional("EXECUTOR_VM_STARTUP_SCRIPT_PATH")
	cfg.Firecracker.VMPrefix = l.String("EXECUTOR_VM_PREFIX")
	cfg.Jobs.KeepWorkspaces = l.Bool("EXECUTOR_KEEP_WORKSPACES")
	cfg.Docker.HostMountPath = l.Optional("EXECUTOR_DOCKER_HOST_MOUNT_PATH")
	cfg.Jobs.NumCPUs = l.Int("EXECUTOR_JOB_NUM_CPUS")
	cfg.Jobs.Memory = l.String("EXECUTOR_JOB_MEMORY")
	cfg.Jobs.DiskSpace = l.String("EXECUTOR_FIRECRACKER_DISK_SPACE")
	cfg.Firecracker.BandwidthIngress = l.Int("EXECUTOR_FIRECRACKER_BANDWIDTH_INGRESS")
	cfg.Firecracker.BandwidthEgress = l.Int("EXECUTOR_FIRECRACKER_BANDWIDTH_EGRESS")
	cfg.Jobs.MaximumRuntime = l.Duration("EXECUTOR_MAXIMUM_RUNTIME_PER_JOB")
	cfg.Firecracker.CleanupInterval = l.Duration("EXECUTOR_CLEANUP_TASK_INTERVAL")
	cfg.Jobs.Total = l.Int("EXECUTOR_NUM_TOTAL_JOBS")
	cfg.Jobs.MaxActiveTime = l.Duration("EXECUTOR_MAX_ACTIVE_TIME")
	cfg.Metrics.NodeExporterURL = l.Optional("NODE_EXPORTER_URL")
	cfg.Metrics.DockerRegistryNodeExporterURL = l.Optional("DOCKER_REGISTRY_NODE_EXPORTER_URL")
	cfg.Docker.AddHostGateway = l.Bool("EXECUTOR_DOCKER_ADD_HOST_GATEWAY")
	l.readKubernetes(&cfg.Kubernetes)

	cfg.Runtime = Runtime(l.String("EXECUTOR_RUNTIME"))
	if cfg.Runtime == RuntimeAuto && shellBuild {
		cfg.Runtime = RuntimeShell
	}
	cfg.DebugAddr = l.Optional("EXECUTOR_DEBUG_ADDR")
	cfg.Jobs.StopGracePeriod = l.Duration("EXECUTOR_STOP_GRACE_PERIOD")
	cfg.Jobs.DrainTimeout = l.Duration("EXECUTOR_DRAIN_TIMEOUT")
	cfg.Docker.PidsLimit = l.Int("EXECUTOR_DOCKER_PIDS_LIMIT")
	cfg.StateDir = l.Optional("EXECUTOR_STATE_DIR")
	l.readMachines(&cfg.Firecracker)
}

func (l *loader) readMachines(cfg *Firecracker) {
	cfg.VMDir = l.Optional("EXECUTOR_VM_DIR")
	cfg.Driver = VMDriver(l.String("EXECUTOR_VM_DRIVER"))
	cfg.Pool = l.Int("EXECUTOR_VM_POOL")
	l.imageCache = l.String("EXECUTOR_VM_IMAGE_CACHE")
	l.network = l.String("EXECUTOR_VM_NETWORK")
	l.subnet = l.String("EXECUTOR_VM_SUBNET")
	cfg.EgressAllow = l.Optional("EXECUTOR_VM_EGRESS_ALLOW")
}

// fillPaths replaces empty paths by their defaults.
func (l *loader) fillPaths(env config.Lookup) {
	if l.cfg.StateDir == "" {
		l.cfg.StateDir = filepath.Join(l.cfg.TempDir, fmt.Sprintf("open-executor-%d", l.host.UID))
	}
	l.cfg.StateDir = l.host.Abs(l.cfg.StateDir)
	home := valueOr(env, "HOME", "")
	if l.cfg.Firecracker.VMDir == "" {
		l.cfg.Firecracker.VMDir = systemVMDir
		if l.host.UID != 0 && home != "" {
			l.cfg.Firecracker.VMDir = filepath.Join(home, ".local", "share", "executor", "vm")
		}
	}
	l.cfg.Firecracker.VMDir = l.host.Abs(l.cfg.Firecracker.VMDir)
	if home != "" && l.cfg.Kubernetes.ConfigPath == "" {
		l.cfg.Kubernetes.ConfigPath = filepath.Join(home, ".kube", "config")
	}
}

func (l *loader) readKubernetes(cfg *Kubernetes) {
	cfg.ConfigPath = l.Optional("EXECUTOR_KUBERNETES_CONFIG_PATH")
	cfg.NodeName = l.Optional("EXECUTOR_KUBERNETES_NODE_NAME")
	cfg.Namespace = l.String("EXECUTOR_KUBERNETES_NAMESPACE")
	cfg.PersistenceVolumeName = l.String("EXECUTOR_KUBERNETES_PERSISTENCE_VOLUME_NAME")
	cfg.Resources.Limits = l.resources("EXECUTOR_KUBERNETES_RESOURCE_LIMIT_CPU", "EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY")
	cfg.Resources.Requests = l.resources("EXECUTOR_KUBERNETES_RESOURCE_REQUEST_CPU", "EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY")
	cfg.JobDeadlineSeconds = int64(l.Int("KUBERNETES_JOB_DEADLINE"))
	cfg.KeepJobs = l.Bool("KUBERNETES_KEEP_JOBS")
	cfg.RunAsUser = positive(l.Int("KUBERNETES_RUN_AS_USER"))
	cfg.RunAsGroup = positive(l.Int("KUBERNETES_RUN_AS_GROUP"))
	cfg.FSGroup = int64(l.Int("KUBERNETES_FS_GROUP"))
	cfg.SingleJobPod = l.Bool("KUBERNETES_SINGLE_JOB_POD")
	cfg.JobVolume.Type = JobVolumeType(l.String("KUBERNETES_JOB_VOLUME_TYPE"))
	cfg.JobVolume.Size = config.Parsed(l.Reader, "KUBERNETES_JOB_VOLUME_SIZE", resource.ParseQuantity)
	cfg.StepImage = l.String("KUBERNETES_SINGLE_JOB_STEP_IMAGE")
	cfg.GitCACertPath = l.Optional("KUBERNETES_GIT_CA_CERT")
	for _, name := range l.Elements("KUBERNETES_IMAGE_PULL_SECRETS") {
		if name != "" {
			cfg.ImagePullSecrets = append(cfg.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
		}
	}
}

func (l *loader) resources(cpu, memory string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for _, one := range []struct {
		resource corev1.ResourceName
		variable string
	}{{corev1.ResourceCPU, cpu}, {corev1.ResourceMemory, memory}} {
		if quantity := config.Parsed(l.Reader, one.variable, resource.ParseQuantity); !quantity.IsZero() {
			list[one.resource] = quantity
		}
	}
	return list
}

// positive returns nil for what is not positive: the reference's way of leaving a user or group to the image.
func positive(id int) *int64 {
	if id <= 0 {
		return nil
	}
	value := int64(id)
	return &value
}

// inKubernetes reports whether the kubelet started this process.
func inKubernetes(env config.Lookup) bool {
	_, host := env("KUBERNETES_SERVICE_HOST")
	_, port := env("KUBERNETES_SERVICE_PORT")
	return host && port
}

func valueOr(env config.Lookup, name, otherwise string) string {
	if value, _ := env(name); value != "" {
		return value
	}
	return otherwise
}

// imageTag is the tag of images that are released together with the executor.
func imageTag(version string) string {
	switch version {
	case "", "dev", "0.0.0+dev":
		return "insiders"
	}
	return version
}
