package executorconfig_test

import (
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/config/mounts"
)

// goodValue is a value of a variable and what it changes in the default configuration.
type goodValue struct {
	variable, value string
	change          func(*executorconfig.Config)
}

type cfg = executorconfig.Config

var goodValues = []goodValue{
	{"EXECUTOR_FRONTEND_URL", "https://me:secret@sg.test/base", func(c *cfg) { c.Frontend.URL = &url.URL{Scheme: "https", Host: "sg.test", Path: "/base"} }},
	{"EXECUTOR_FRONTEND_PASSWORD", "other", func(c *cfg) { c.Frontend.Password = config.NewSecret("other") }},
	{"EXECUTOR_QUEUE_NAME", " my-queue2 ", func(c *cfg) { c.Queues.Names = []string{"my-queue2"} }},
	{"EXECUTOR_QUEUE_NAMES", " ", func(*cfg) {}},
	{"EXECUTOR_QUEUE_POLL_INTERVAL", "250ms", func(c *cfg) { c.Queues.PollInterval = 250 * time.Millisecond }},
	{"EXECUTOR_MAXIMUM_NUM_JOBS", "8", func(c *cfg) { c.Jobs.Maximum = 8 }},
	{"EXECUTOR_USE_FIRECRACKER", "f", func(c *cfg) { c.Firecracker.Enabled = false }},
	{"EXECUTOR_FIRECRACKER_IMAGE", "i", func(c *cfg) { c.Firecracker.Image = "i" }},
	{"EXECUTOR_FIRECRACKER_KERNEL_IMAGE", "i", func(c *cfg) {
		c.Firecracker.KernelImage, c.Firecracker.Ignored = "i", []string{"EXECUTOR_FIRECRACKER_KERNEL_IMAGE"}
	}},
	{"EXECUTOR_FIRECRACKER_SANDBOX_IMAGE", "i", func(c *cfg) {
		c.Firecracker.SandboxImage, c.Firecracker.Ignored = "i", []string{"EXECUTOR_FIRECRACKER_SANDBOX_IMAGE"}
	}},
	{"EXECUTOR_VM_DIR", "vm", func(c *cfg) { c.Firecracker.VMDir = "/wd/vm" }},
	{"EXECUTOR_VM_DRIVER", "qemu", func(c *cfg) { c.Firecracker.Driver = executorconfig.DriverQEMU }},
	{"EXECUTOR_VM_POOL", "0", func(c *cfg) { c.Firecracker.Pool = 0 }},
	{"EXECUTOR_VM_IMAGE_CACHE", "1M", func(c *cfg) { c.Firecracker.ImageCacheBytes = 1 << 20 }},
	{"EXECUTOR_VM_NETWORK", "none", func(c *cfg) { c.Firecracker.Network = false }},
	{"EXECUTOR_VM_SUBNET", "10.1.0.0/24", func(c *cfg) { c.Firecracker.Subnet = netip.MustParsePrefix("10.1.0.0/24") }},
	{"EXECUTOR_VM_EGRESS_ALLOW", "10.0.0.5", func(c *cfg) { c.Firecracker.EgressAllow = "10.0.0.5" }},
	{"EXECUTOR_VM_STARTUP_SCRIPT_PATH", "/s.sh", func(c *cfg) { c.Firecracker.VMStartupScriptPath = "/s.sh" }},
	{"EXECUTOR_VM_PREFIX", "p", func(c *cfg) { c.Firecracker.VMPrefix = "p" }},
	{"EXECUTOR_KEEP_WORKSPACES", "1", func(c *cfg) { c.Jobs.KeepWorkspaces = true }},
	{"EXECUTOR_DOCKER_HOST_MOUNT_PATH", "/host", func(c *cfg) { c.Docker.HostMountPath = "/host" }},
	{"EXECUTOR_JOB_NUM_CPUS", "1", func(c *cfg) { c.Jobs.NumCPUs = 1 }},
	{"EXECUTOR_FIRECRACKER_NUM_CPUS", "2", func(c *cfg) { c.Jobs.NumCPUs = 2 }},
	{"EXECUTOR_JOB_MEMORY", "0", func(c *cfg) { c.Jobs.Memory, c.Firecracker.MemoryBytes = "0", 0 }},
	{"EXECUTOR_FIRECRACKER_MEMORY", "512mb", func(c *cfg) { c.Jobs.Memory, c.Firecracker.MemoryBytes = "512mb", 512<<20 }},
	{"EXECUTOR_FIRECRACKER_DISK_SPACE", "1TB", func(c *cfg) { c.Jobs.DiskSpace, c.Firecracker.DiskSpaceBytes = "1TB", 1<<40 }},
	{"EXECUTOR_FIRECRACKER_BANDWIDTH_INGRESS", "0", func(c *cfg) { c.Firecracker.BandwidthIngress = 0 }},
	{"EXECUTOR_FIRECRACKER_BANDWIDTH_EGRESS", "7", func(c *cfg) { c.Firecracker.BandwidthEgress = 7 }},
	{"EXECUTOR_MAXIMUM_RUNTIME_PER_JOB", "0", func(c *cfg) { c.Jobs.MaximumRuntime = 0 }},
	{"EXECUTOR_CLEANUP_TASK_INTERVAL", "5s", func(c *cfg) { c.Firecracker.CleanupInterval = 5 * time.Second }},
	{"EXECUTOR_NUM_TOTAL_JOBS", "3", func(c *cfg) { c.Jobs.Total = 3 }},
	{"EXECUTOR_MAX_ACTIVE_TIME", "1h", func(c *cfg) { c.Jobs.MaxActiveTime = time.Hour }},
	{"NODE_EXPORTER_URL", "http://n", func(c *cfg) { c.Metrics.NodeExporterURL = "http://n" }},
	{"DOCKER_REGISTRY_NODE_EXPORTER_URL", "http://d", func(c *cfg) { c.Metrics.DockerRegistryNodeExporterURL = "http://d" }},
	{"EXECUTOR_DOCKER_REGISTRY_MIRROR_URL", "http://a:5000, https://b,", func(c *cfg) { c.Firecracker.RegistryMirrorURLs = []string{"http://a:5000", "https://b"} }},
	{"EXECUTOR_DOCKER_ADD_HOST_GATEWAY", "TRUE", func(c *cfg) { c.Docker.AddHostGateway = true }},
	{"EXECUTOR_DOCKER_AUTH_CONFIG", `{"auths":{"r.test":{"auth":"dXNlcjpwYXNz"}},"credsStore":"x"}`, func(c *cfg) {
		c.Docker.Auth = config.NewSecret(api.DockerAuthConfig{Auths: map[string]api.DockerAuth{"r.test": {Auth: []byte("user:pass")}}})
	}},
	{"EXECUTOR_DOCKER_ADDITIONAL_MOUNTS", "type=bind,source=./a,target=/a;dst=/b", func(c *cfg) {
		c.Docker.AdditionalMounts = []mounts.Mount{{Type: "bind", Source: "/wd/a", Target: "/a"}, {Type: "volume", Target: "/b"}}
	}},
	{"EXECUTOR_RUNTIME", "auto", func(*cfg) {}},
	{"EXECUTOR_DEBUG_ADDR", ":6060", func(c *cfg) { c.DebugAddr = ":6060" }},
	{"EXECUTOR_STOP_GRACE_PERIOD", "0", func(c *cfg) { c.Jobs.StopGracePeriod = 0 }},
	{"EXECUTOR_DOCKER_PIDS_LIMIT", "0", func(c *cfg) { c.Docker.PidsLimit = 0 }},
	{"EXECUTOR_DRAIN_TIMEOUT", "5m", func(c *cfg) { c.Jobs.DrainTimeout = 5 * time.Minute }},
	{"EXECUTOR_STATE_DIR", "state", func(c *cfg) { c.StateDir = "/wd/state" }},
}

var requirement = []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpIn, Values: []string{"ssd"}}}

var term = []corev1.PodAffinityTerm{{TopologyKey: "zone", Namespaces: []string{"a"}}}

const (
	requirementJSON = `[{"key":"disk","operator":"In","values":["ssd"]}]`
	termJSON        = `[{"topologyKey":"zone","namespaces":["a"]}]`
)

func goodKubernetesValues(t *testing.T) []goodValue {
	half, zero, big := quantity(t, "500m"), int64(7), quantity(t, "1Ti")
	return []goodValue{
		{"EXECUTOR_KUBERNETES_CONFIG_PATH", "/k", func(c *cfg) { c.Kubernetes.ConfigPath = "/k" }},
		{"EXECUTOR_KUBERNETES_NODE_NAME", "n1", func(c *cfg) { c.Kubernetes.NodeName = "n1" }},
		{"EXECUTOR_KUBERNETES_NODE_SELECTOR", "a=b, c = d,e=", func(c *cfg) { c.Kubernetes.NodeSelector = map[string]string{"a": "b", "c": "d", "e": ""} }},
		{"EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_EXPRESSIONS", requirementJSON, func(c *cfg) { c.Kubernetes.RequiredNodeExpressions = requirement }},
		{"EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_FIELDS", requirementJSON, func(c *cfg) { c.Kubernetes.RequiredNodeFields = requirement }},
		{"EXECUTOR_KUBERNETES_POD_AFFINITY", termJSON, func(c *cfg) { c.Kubernetes.RequiredPodAffinity = term }},
		{"EXECUTOR_KUBERNETES_POD_ANTI_AFFINITY", termJSON, func(c *cfg) { c.Kubernetes.RequiredPodAntiAffinity = term }},
		{"EXECUTOR_KUBERNETES_NODE_TOLERATIONS", `[{"key":"k","operator":"Exists","effect":"NoExecute","tolerationSeconds":7}]`, func(c *cfg) {
			c.Kubernetes.Tolerations = []corev1.Toleration{{Key: "k", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &zero}}
		}},
		{"EXECUTOR_KUBERNETES_NAMESPACE", "ns", func(c *cfg) { c.Kubernetes.Namespace = "ns" }},
		{"EXECUTOR_KUBERNETES_PERSISTENCE_VOLUME_NAME", "pv", func(c *cfg) { c.Kubernetes.PersistenceVolumeName = "pv" }},
		{"EXECUTOR_KUBERNETES_RESOURCE_LIMIT_CPU", "500m", func(c *cfg) { c.Kubernetes.Resources.Limits[corev1.ResourceCPU] = half }},
		{"EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY", "", func(c *cfg) { delete(c.Kubernetes.Resources.Limits, corev1.ResourceMemory) }},
		{"EXECUTOR_KUBERNETES_RESOURCE_REQUEST_CPU", "500m", func(c *cfg) { c.Kubernetes.Resources.Requests[corev1.ResourceCPU] = half }},
		{"EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY", "1Ti", func(c *cfg) { c.Kubernetes.Resources.Requests[corev1.ResourceMemory] = big }},
		{"KUBERNETES_JOB_DEADLINE", "60", func(c *cfg) { c.Kubernetes.JobDeadlineSeconds = 60 }},
		{"KUBERNETES_KEEP_JOBS", "true", func(c *cfg) { c.Kubernetes.KeepJobs = true }},
		{"KUBERNETES_RUN_AS_USER", "7", func(c *cfg) { c.Kubernetes.RunAsUser = &zero }},
		{"KUBERNETES_RUN_AS_USER", "0", func(*cfg) {}},
		{"KUBERNETES_RUN_AS_GROUP", "7", func(c *cfg) { c.Kubernetes.RunAsGroup = &zero }},
		{"KUBERNETES_FS_GROUP", "0", func(c *cfg) { c.Kubernetes.FSGroup = 0 }},
		{"KUBERNETES_SINGLE_JOB_POD", "false", func(c *cfg) { c.Kubernetes.SingleJobPod = false }},
		{"KUBERNETES_JOB_VOLUME_TYPE", "pvc", func(c *cfg) { c.Kubernetes.JobVolume.Type = executorconfig.JobVolumePVC }},
		{"KUBERNETES_JOB_VOLUME_SIZE", "1Ti", func(c *cfg) { c.Kubernetes.JobVolume.Size = big }},
		{"KUBERNETES_ADDITIONAL_JOB_VOLUMES", `[{"name":"v","emptyDir":{"sizeLimit":"1Ti"}}]`, func(c *cfg) {
			c.Kubernetes.AdditionalVolumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &big}}}}
		}},
		{"KUBERNETES_ADDITIONAL_JOB_VOLUME_MOUNTS", `[{"name":"v","mountPath":"/v"}]`, func(c *cfg) {
			c.Kubernetes.AdditionalVolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}
		}},
		{"KUBERNETES_SINGLE_JOB_STEP_IMAGE", "i", func(c *cfg) { c.Kubernetes.StepImage = "i" }},
		{"KUBERNETES_GIT_CA_CERT", "/c.pem", func(c *cfg) { c.Kubernetes.GitCACertPath = "/c.pem" }},
		{"KUBERNETES_JOB_ANNOTATIONS", `{"a":"b"}`, func(c *cfg) { c.Kubernetes.JobAnnotations = map[string]string{"a": "b"} }},
		{"KUBERNETES_JOB_POD_ANNOTATIONS", `{"a":"b"}`, func(c *cfg) { c.Kubernetes.PodAnnotations = map[string]string{"a": "b"} }},
		{"KUBERNETES_IMAGE_PULL_SECRETS", "a, b,", func(c *cfg) { c.Kubernetes.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "a"}, {Name: "b"}} }},
	}
}

func TestGoodValues(t *testing.T) {
	t.Parallel()
	tested := map[string]bool{}
	for _, test := range append(goodKubernetesValues(t), goodValues...) {
		tested[test.variable] = true
		t.Run(test.variable+"="+test.value, func(t *testing.T) {
			t.Parallel()
			want := load(t, minimal, linux)
			test.change(&want)
			require.Equal(t, want, load(t, with(map[string]string{test.variable: test.value}), linux))
		})
	}
	for _, variable := range executorconfig.Variables() {
		require.True(t, tested[variable.Name], "no good value of %s is tested", variable.Name)
		for _, alias := range variable.Aliases {
			require.True(t, tested[alias], "no good value of %s is tested", alias)
		}
	}
}

func TestTheNewNameBeatsItsAlias(t *testing.T) {
	t.Parallel()
	cfg := load(t, with(map[string]string{
		"EXECUTOR_JOB_NUM_CPUS": "2", "EXECUTOR_FIRECRACKER_NUM_CPUS": "odd", "EXECUTOR_JOB_MEMORY": "1g", "EXECUTOR_FIRECRACKER_MEMORY": "2g",
	}), linux)
	require.Equal(t, 2, cfg.Jobs.NumCPUs)
	require.Equal(t, "1g", cfg.Jobs.Memory)
}

func TestSeveralQueues(t *testing.T) {
	t.Parallel()
	env := without("EXECUTOR_QUEUE_NAME")
	env["EXECUTOR_QUEUE_NAMES"] = " batches, x,codeintel ,x"
	require.Equal(t, executorconfig.Queues{Names: []string{"batches", "x", "codeintel"}, Multi: true, PollInterval: time.Second}, load(t, env, linux).Queues)
	env["EXECUTOR_QUEUE_NAMES"] = "batches"
	require.True(t, load(t, env, linux).Queues.Multi, "one name in the list is still the multi-queue mode")
}
