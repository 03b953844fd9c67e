package executorconfig

import (
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/open-executor/executor/internal/config"
)

// rules run after everything was read, whatever failed there: first the reference's in its order (spec section 2.1), then ours.
var rules = []func(*loader){
	checkQueues,
	checkFrontendURL,
	checkDockerAuth,
	checkAdditionalMounts,
	parseJSON("EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_EXPRESSIONS", "an array of node selector requirements",
		func(k *Kubernetes) *[]corev1.NodeSelectorRequirement { return &k.RequiredNodeExpressions }),
	parseJSON("EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_FIELDS", "an array of node selector requirements",
		func(k *Kubernetes) *[]corev1.NodeSelectorRequirement { return &k.RequiredNodeFields }),
	parseJSON("EXECUTOR_KUBERNETES_POD_AFFINITY", "an array of pod affinity terms",
		func(k *Kubernetes) *[]corev1.PodAffinityTerm { return &k.RequiredPodAffinity }),
	parseJSON("KUBERNETES_ADDITIONAL_JOB_VOLUME_MOUNTS", "an array of volume mounts",
		func(k *Kubernetes) *[]corev1.VolumeMount { return &k.AdditionalVolumeMounts }),
	parseJSON("KUBERNETES_ADDITIONAL_JOB_VOLUMES", "an array of volumes",
		func(k *Kubernetes) *[]corev1.Volume { return &k.AdditionalVolumes }),
	parseJSON("KUBERNETES_JOB_ANNOTATIONS", "an object of texts",
		func(k *Kubernetes) *map[string]string { return &k.JobAnnotations }),
	parseJSON("KUBERNETES_JOB_POD_ANNOTATIONS", "an object of texts",
		func(k *Kubernetes) *map[string]string { return &k.PodAnnotations }),
	checkJobVolumeType,
	checkTopologyKeys("EXECUTOR_KUBERNETES_POD_AFFINITY",
		func(k *Kubernetes) []corev1.PodAffinityTerm { return k.RequiredPodAffinity }),
	parseJSON("EXECUTOR_KUBERNETES_POD_ANTI_AFFINITY", "an array of pod affinity terms",
		func(k *Kubernetes) *[]corev1.PodAffinityTerm { return &k.RequiredPodAntiAffinity }),
	checkTopologyKeys("EXECUTOR_KUBERNETES_POD_ANTI_AFFINITY",
		func(k *Kubernetes) []corev1.PodAffinityTerm { return k.RequiredPodAntiAffinity }),
	parseJSON("EXECUTOR_KUBERNETES_NODE_TOLERATIONS", "an array of tolerations",
		func(k *Kubernetes) *[]corev1.Toleration { return &k.Tolerations }),
	checkFirecracker,
	checkNodeSelector,

	checkPassword,
	checkRuntime,
	checkLimits,
	checkMemory,
	checkRegistryMirrors,
	checkMachines,
	checkDebugAddr,
}

// queueName is the form of a queue's name.
var queueName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

func checkQueues(l *loader) {
	single := strings.TrimSpace(l.Optional("EXECUTOR_QUEUE_NAME"))
	names := l.Elements("EXECUTOR_QUEUE_NAMES")
	if single == "" && len(names) == 0 {
		l.failf("neither EXECUTOR_QUEUE_NAME nor EXECUTOR_QUEUE_NAMES is set: set one of them to the queue or queues to take jobs from")
		return
	}
	if single != "" && len(names) != 0 {
		l.failf("both EXECUTOR_QUEUE_NAME and EXECUTOR_QUEUE_NAMES are set: unset one of them")
		return
	}
	variable := "EXECUTOR_QUEUE_NAMES"
	l.cfg.Queues.Multi = single == ""
	if single != "" {
		variable, names = "EXECUTOR_QUEUE_NAME", []string{single}
	}
	for _, name := range names {
		if !queueName.MatchString(name) {
			l.failf("invalid queue name %q in %s: it must be a lower-case letter followed by lower-case letters, digits and dashes, such as batches or codeintel", name, variable)
		} else if !slices.Contains(l.cfg.Queues.Names, name) {
			l.cfg.Queues.Names = append(l.cfg.Queues.Names, name)
		}
	}
}

// dockerHost is the name by which containers reach their host, where Docker was told to add it.
const dockerHost = "host.docker.internal"

func checkFrontendURL(l *loader) {
	if l.Failed("EXECUTOR_FRONTEND_URL") {
		return
	}
	parsed, err := config.ParseHTTPURL(l.frontendURL)
	if err != nil {
		l.failf("EXECUTOR_FRONTEND_URL %w", err)
		return
	}
	if parsed.Hostname() == dockerHost && !l.cfg.Docker.AddHostGateway {
		l.failf("EXECUTOR_FRONTEND_URL names the host %s, which containers only know when EXECUTOR_DOCKER_ADD_HOST_GATEWAY is true: set it, or use another name", dockerHost)
	}
	parsed.User = nil
	l.cfg.Frontend.URL = parsed
}

func checkPassword(l *loader) {
	if err := config.CheckToken(l.cfg.Frontend.Password.Reveal()); err != nil {
		l.failf("EXECUTOR_FRONTEND_PASSWORD %w", err)
	}
}

func checkRuntime(l *loader) {
	if l.Failed("EXECUTOR_RUNTIME") {
		return
	}
	switch l.cfg.Runtime {
	case RuntimeAuto, RuntimeDocker, RuntimeFirecracker, RuntimeKubernetes, RuntimeShell:
	default:
		l.failf("invalid value %q for EXECUTOR_RUNTIME: it must be auto, docker, firecracker, kubernetes or shell", l.cfg.Runtime)
	}
}

func checkDebugAddr(l *loader) {
	if l.cfg.DebugAddr == "" {
		return
	}
	if err := config.CheckListenAddr(l.cfg.DebugAddr); err != nil {
		l.failf("EXECUTOR_DEBUG_ADDR %w", err)
	}
}
