package executorconfig

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Kubernetes are the settings of the Kubernetes runtime.
type Kubernetes struct {
	// ConfigPath is the kubeconfig file; when it can't be loaded, or is empty, the in-cluster configuration counts.
	ConfigPath string
	Namespace  string

	NodeName     string
	NodeSelector map[string]string
	// RequiredNodeExpressions and RequiredNodeFields make one term of required node affinity.
	RequiredNodeExpressions []corev1.NodeSelectorRequirement
	RequiredNodeFields      []corev1.NodeSelectorRequirement
	// Terms of required pod affinity; each has a topology key.
	RequiredPodAffinity     []corev1.PodAffinityTerm
	RequiredPodAntiAffinity []corev1.PodAffinityTerm
	Tolerations             []corev1.Toleration

	// Resources holds what is set and not zero.
	Resources corev1.ResourceRequirements
	// JobDeadlineSeconds bounds a pod's life and is positive.
	JobDeadlineSeconds int64
	KeepJobs           bool
	ImagePullSecrets   []corev1.LocalObjectReference
	JobAnnotations     map[string]string
	PodAnnotations     map[string]string

	// SingleJobPod selects one pod for all steps of a job, instead of one for each step.
	SingleJobPod bool

	// Settings of the mode with a pod for each step. RunAsUser and RunAsGroup are nil when they are left to the image.
	PersistenceVolumeName string
	RunAsUser, RunAsGroup *int64
	FSGroup               int64

	// Settings of the single job pod.
	JobVolume              JobVolume
	AdditionalVolumes      []corev1.Volume
	AdditionalVolumeMounts []corev1.VolumeMount
	StepImage              string
	GitCACertPath          string
}

// JobVolume is the volume of a job's workspace in a single job pod.
type JobVolume struct {
	Type JobVolumeType
	// Size is positive.
	Size resource.Quantity
}

// JobVolumeType is a value of KUBERNETES_JOB_VOLUME_TYPE.
type JobVolumeType string

// The kinds of job volumes.
const (
	JobVolumeEmptyDir JobVolumeType = "emptyDir"
	JobVolumePVC      JobVolumeType = "pvc"
)
