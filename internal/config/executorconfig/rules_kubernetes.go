package executorconfig

import (
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// parseJSON makes a rule that decodes a variable into a member of the Kubernetes settings. Blank text leaves it zero.
func parseJSON[T any](name, want string, member func(*Kubernetes) *T) func(*loader) {
	return func(l *loader) {
		raw := l.Optional(name)
		if strings.TrimSpace(raw) == "" {
			return
		}
		var value T
		if err := json.Unmarshal([]byte(raw), &value); err != nil {
			l.failf("invalid JSON for %s, want %s: %w", name, want, err)
			return
		}
		*member(&l.cfg.Kubernetes) = value
	}
}

func checkTopologyKeys(name string, terms func(*Kubernetes) []corev1.PodAffinityTerm) func(*loader) {
	return func(l *loader) {
		for i, term := range terms(&l.cfg.Kubernetes) {
			if term.TopologyKey == "" {
				l.failf("element %d of %s has no topologyKey: name the node label that tells places apart, such as kubernetes.io/hostname", i+1, name)
			}
		}
	}
}

func checkJobVolumeType(l *loader) {
	if l.Failed("KUBERNETES_JOB_VOLUME_TYPE") {
		return
	}
	switch l.cfg.Kubernetes.JobVolume.Type {
	case JobVolumeEmptyDir, JobVolumePVC:
	default:
		l.failf("invalid value %q for KUBERNETES_JOB_VOLUME_TYPE: it must be emptyDir or pvc", l.cfg.Kubernetes.JobVolume.Type)
	}
}

func checkNodeSelector(l *loader) {
	for _, element := range l.Elements("EXECUTOR_KUBERNETES_NODE_SELECTOR") {
		label, value, ok := strings.Cut(element, "=")
		label, value = strings.TrimSpace(label), strings.TrimSpace(value)
		if !ok || label == "" || strings.Contains(value, "=") {
			l.failf("invalid element %q in EXECUTOR_KUBERNETES_NODE_SELECTOR: it must be label=value", element)
			continue
		}
		if l.cfg.Kubernetes.NodeSelector == nil {
			l.cfg.Kubernetes.NodeSelector = map[string]string{}
		}
		l.cfg.Kubernetes.NodeSelector[label] = value
	}
}
