package kubernetes

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/open-executor/executor/internal/pod"
	"github.com/open-executor/executor/internal/runtime"
)

const (
	agentContainer = "agent"
	setupContainer = "setup"
	// keptFor is how long a Job that has ended stays when nobody removes it, in seconds.
	keptFor = 300
	// stopSeconds is how long a pod's end may take: when it ends, no step runs.
	stopSeconds = 5
	// defaultUser is who steps run as where neither the operator nor the image may choose.
	defaultUser = 1000
)

// Volumes of a pod.
const (
	jobVolume     = "job"
	sharedVolume  = "executor"
	privateVolume = "agent"
)

// What the agent's own container needs.
var agentResources = corev1.ResourceRequirements{
	Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
	Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
}

// jobObject is the Job of a session.
func (r *Runtime) jobObject(s *session) *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: s.name, Labels: r.labels(s.job, s.name), Annotations: annotations(s.job, r.options.JobAnnotations)},
		Spec: batchv1.JobSpec{
			BackoffLimit:            new(int32(0)),
			TTLSecondsAfterFinished: r.keptFor(),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: r.labels(s.job, s.name), Annotations: annotations(s.job, r.options.PodAnnotations)},
				Spec:       r.podSpec(s),
			},
		},
	}
}

// keptFor is in seconds; nil for ever.
func (r *Runtime) keptFor() *int32 {
	if r.options.Keep {
		return nil
	}
	return new(int32(keptFor))
}

// annotations are the operator's and the executor's name.
func annotations(job runtime.Job, more map[string]string) map[string]string {
	all := map[string]string{annotationExecutor: job.Executor}
	maps.Copy(all, more)
	return all
}

func (r *Runtime) podSpec(s *session) corev1.PodSpec {
	spec := corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		AutomountServiceAccountToken:  new(false),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(int64(stopSeconds)),
		NodeName:                      r.options.NodeName,
		NodeSelector:                  r.options.NodeSelector,
		Affinity:                      r.options.Affinity,
		Tolerations:                   r.options.Tolerations,
		ImagePullSecrets:              r.options.ImagePullSecrets,
		SecurityContext:               r.podSecurity(),
		Volumes:                       append(r.volumes(s.volume), r.options.AdditionalVolumes...),
		InitContainers:                []corev1.Container{r.setup()},
		Containers:                    []corev1.Container{r.agent(s)},
	}
	if s.pullSecret != "" {
		spec.ImagePullSecrets = slices.Concat(spec.ImagePullSecrets, []corev1.LocalObjectReference{{Name: s.pullSecret}})
	}
	if r.options.Deadline > 0 {
		spec.ActiveDeadlineSeconds = new(int64(r.options.Deadline.Seconds()))
	}
	for i, c := range s.containers {
		spec.Containers = append(spec.Containers, r.step(s, i, c))
	}
	return spec
}

// volumes are the job's, the one with what all containers begin with, and the agent's own.
func (r *Runtime) volumes(shared *claim) []corev1.Volume {
	empty := func(limit *resource.Quantity) corev1.VolumeSource {
		return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: limit}}
	}
	job := empty(new(r.options.VolumeSize.DeepCopy()))
	switch {
	case shared != nil:
		job = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: shared.name}}
	case r.options.VolumeClaim:
		job = corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: r.claimSpec()}}}
	}
	return []corev1.Volume{
		{Name: jobVolume, VolumeSource: job},
		{Name: sharedVolume, VolumeSource: empty(nil)},
		{Name: privateVolume, VolumeSource: empty(nil)},
	}
}

// claimSpec asks for a volume of the cluster's default class.
func (r *Runtime) claimSpec() corev1.PersistentVolumeClaimSpec {
	return corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: r.options.VolumeSize}},
	}
}

func (r *Runtime) setup() corev1.Container {
	return corev1.Container{
		Name:            setupContainer,
		Image:           r.options.HelperImage,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Command:         []string{"podagent", "install"},
		Resources:       agentResources,
		SecurityContext: r.containerSecurity(true),
		VolumeMounts:    []corev1.VolumeMount{{Name: sharedVolume, MountPath: pod.SharedDir}},
	}
}

func (r *Runtime) agent(s *session) corev1.Container {
	return corev1.Container{
		Name:            agentContainer,
		Image:           r.options.HelperImage,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Command:         []string{pod.Program, "serve", strconv.Itoa(len(s.containers)), fmt.Sprint(int(r.options.Unattended.Seconds()))},
		Env:             []corev1.EnvVar{{Name: pod.KeyVariable, Value: s.key}},
		Resources:       agentResources,
		SecurityContext: r.containerSecurity(true),
		VolumeMounts: append([]corev1.VolumeMount{
			{Name: jobVolume, MountPath: pod.Workspace},
			{Name: sharedVolume, MountPath: pod.SharedDir},
			{Name: privateVolume, MountPath: pod.PrivateDir},
		}, r.options.AdditionalVolumeMounts...),
	}
}

// step is the container of a step. Steps run one after another, so that the first one asks for the resources of all.
func (r *Runtime) step(s *session, i int, c *container) corev1.Container {
	resources := *r.options.Resources.DeepCopy()
	if i > 0 {
		// In so many words: else a limit counts as a request, and a quota refuses what asks for nothing.
		none := corev1.ResourceList{}
		for _, kinds := range []corev1.ResourceList{resources.Limits, resources.Requests} {
			for kind := range kinds {
				none[kind] = resource.Quantity{}
			}
		}
		resources.Requests = none
	}
	image := c.step.Image
	if image == "" {
		image = r.options.HelperImage
	}
	return corev1.Container{
		Name:            c.name,
		Image:           image,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Command:         []string{pod.Program, "step", strconv.Itoa(i)},
		WorkingDir:      pod.Workspace,
		Env:             []corev1.EnvVar{{Name: pod.KeyVariable, Value: pod.Pass(s.key, i)}},
		Resources:       resources,
		SecurityContext: r.containerSecurity(false),
		VolumeMounts: append([]corev1.VolumeMount{
			{Name: jobVolume, MountPath: pod.Workspace},
			{Name: sharedVolume, MountPath: pod.SharedDir, ReadOnly: true},
		}, r.options.AdditionalVolumeMounts...),
	}
}

func (r *Runtime) podSecurity() *corev1.PodSecurityContext {
	context := &corev1.PodSecurityContext{
		FSGroup: r.options.FSGroup,
		// A claim that a step has filled isn't gone through again for each one that follows.
		FSGroupChangePolicy: new(corev1.FSGroupChangeOnRootMismatch),
		RunAsUser:           r.options.RunAsUser,
		RunAsGroup:          r.options.RunAsGroup,
		SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	if r.options.ImageUser {
		return context
	}
	context.RunAsNonRoot = new(true)
	if context.RunAsUser == nil {
		context.RunAsUser = new(int64(defaultUser))
	}
	if context.RunAsGroup == nil {
		context.RunAsGroup = new(*context.RunAsUser)
	}
	return context
}

// containerSecurity is what the Pod Security Standard "restricted" asks for; own is true for containers of the helper image.
func (r *Runtime) containerSecurity(own bool) *corev1.SecurityContext {
	context := &corev1.SecurityContext{AllowPrivilegeEscalation: new(false)}
	if own || !r.options.ImageUser {
		context.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
	}
	if own {
		context.ReadOnlyRootFilesystem = new(true)
	}
	return context
}

// stepContainers are the containers of a job's steps.
func stepContainers(steps []runtime.Step) []*container {
	var all []*container
	for i, step := range steps {
		all = append(all, &container{name: containerName(i, step.Key), step: step})
	}
	return all
}
