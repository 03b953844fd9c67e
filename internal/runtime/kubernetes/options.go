package kubernetes

import (
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/open-executor/executor/internal/fault"
)

// Options of a runtime. Zero members have the defaults of their comments.
type Options struct {
	// Namespace is where all objects are made.
	Namespace string
	// HelperImage has podagent, and src for src steps.
	HelperImage string

	// NodeName, NodeSelector, Affinity and Tolerations say where pods may run.
	NodeName     string
	NodeSelector map[string]string
	Affinity     *corev1.Affinity
	Tolerations  []corev1.Toleration

	// Resources are those of one step. A pod asks for them once, however many steps it has: they run one after another.
	Resources corev1.ResourceRequirements
	// ImagePullSecrets exist in the namespace.
	ImagePullSecrets       []corev1.LocalObjectReference
	JobAnnotations         map[string]string
	PodAnnotations         map[string]string
	AdditionalVolumes      []corev1.Volume
	AdditionalVolumeMounts []corev1.VolumeMount
	VolumeSize             resource.Quantity
	VolumeClaim            bool
	// PodPerStep gives each step a Job and a pod of its own, and the job a claim that they share (KUBERNETES_SINGLE_JOB_POD=false). Such a job does not
	// survive its executor.
	PodPerStep                     bool
	RunAsUser, RunAsGroup, FSGroup *int64
	// ImageUser leaves steps to their image's user, with the capabilities and the root file system of the cluster's default. Else pods keep to the
	// Pod Security Standard "restricted".
	ImageUser bool

	// Deadline bounds a pod's life; 0 for no bound.
	Deadline time.Duration
	// StartTime bounds the wait for a pod to run; 10 minutes.
	StartTime time.Duration
	// ImagePatience is for how long an image may fail to be pulled before its step does; 30 seconds.
	ImagePatience time.Duration
	// Unattended is after what time a pod ends whose executor is gone; 5 minutes.
	Unattended time.Duration
	// Grace is the time between SIGTERM and SIGKILL.
	Grace time.Duration
	// Pool names the executors that serve the same queues of the same frontend, and take each other's pods over when they die. Pods are labelled with a hash
	// of it. Empty for an executor by itself.
	Pool string
	// Orphaned is how long nobody must have come for a pod until another executor takes it over; 1.5 seconds.
	Orphaned time.Duration
	// Keep leaves Jobs behind, for debugging; pods end all the same.
	Keep bool
	// Observe, if set, is told of each step.
	Observe func(key string, took time.Duration, err error)
}

func (o Options) validated() (Options, error) {
	if _, err := name.ParseReference(o.HelperImage); err != nil {
		return o, fault.Operatorf("the helper image %q is not the name of an image: %w (KUBERNETES_SINGLE_JOB_STEP_IMAGE)", o.HelperImage, err)
	}
	for duration, otherwise := range map[*time.Duration]time.Duration{
		&o.StartTime: 10 * time.Minute, &o.ImagePatience: 30 * time.Second, &o.Unattended: 5 * time.Minute, &o.Grace: time.Nanosecond,
		&o.Orphaned: 1500 * time.Millisecond,
	} {
		if *duration <= 0 {
			*duration = otherwise
		}
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	return o, nil
}
