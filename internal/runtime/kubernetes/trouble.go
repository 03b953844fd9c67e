package kubernetes

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime/host"
)

// gone tells why a pod is at an end, or on its way there; nil while it lives. The job is to blame for what it used too much of, the cluster for all else.
func gone(pod *corev1.Pod) error {
	if pod == nil {
		return fmt.Errorf("its pod was deleted")
	}
	if why := ended(pod); why != nil {
		return why
	}
	if pod.DeletionTimestamp != nil {
		return fmt.Errorf("its pod was deleted")
	}
	return nil
}

// agentEnded tells why the agent of a pod that lives is no more: nobody will answer.
func agentEnded(pod *corev1.Pod) error {
	status := statusOf(pod, agentContainer)
	if status == nil || status.State.Terminated == nil {
		return nil
	}
	t := status.State.Terminated
	return fmt.Errorf("its pod's agent ended: %s, exit code %d %s", t.Reason, t.ExitCode, host.OneLine(t.Message))
}

func ended(pod *corev1.Pod) error {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.DisruptionTarget && condition.Status == corev1.ConditionTrue {
			return disrupted(pod, condition)
		}
	}
	switch {
	case pod.Status.Reason == "Evicted":
		return evicted(pod.Status.Message)
	case pod.Status.Reason == "DeadlineExceeded":
		return fault.Userf("its pod was ended by its deadline (%s seconds, KUBERNETES_JOB_DEADLINE)", seconds(pod.Spec.ActiveDeadlineSeconds))
	case pod.Status.Reason == "NodeLost":
		return fmt.Errorf("its node %s was lost: %s", pod.Spec.NodeName, host.OneLine(pod.Status.Message))
	case pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded:
		return fmt.Errorf("its pod ended: %s", strings.Join(endings(pod), ", "))
	}
	return nil
}

func seconds(n *int64) string {
	if n == nil {
		return "no"
	}
	return fmt.Sprint(*n)
}

// disrupted is a pod that the cluster ends (Kubernetes, "Pod disruption conditions").
func disrupted(pod *corev1.Pod, condition corev1.PodCondition) error {
	said := host.OneLine(condition.Message)
	switch condition.Reason {
	case corev1.PodReasonPreemptionByScheduler:
		return fmt.Errorf("its pod was preempted by a more important one: %s", said)
	case "DeletionByTaintManager":
		return fmt.Errorf("its node %s was tainted: %s", pod.Spec.NodeName, said)
	case "EvictionByEvictionAPI":
		return fmt.Errorf("its pod was evicted from node %s, as when that is drained: %s", pod.Spec.NodeName, said)
	case "DeletionByPodGC":
		return fmt.Errorf("its node %s is gone: %s", pod.Spec.NodeName, said)
	case corev1.PodReasonTerminationByKubelet:
		if pod.Status.Message != "" {
			said = host.OneLine(pod.Status.Message)
		}
		return evicted(said)
	}
	return fmt.Errorf("its pod was disrupted: %s: %s", condition.Reason, said)
}

// evicted is a pod that the kubelet ended. It is the job's doing when a volume or the container's own files outgrew their limit.
func evicted(message string) error {
	message = host.OneLine(message)
	if strings.Contains(message, "exceeds the limit") || strings.Contains(message, "exceeds the total limit") || strings.Contains(message, "exceeded its local ephemeral storage limit") {
		return fault.Userf("its pod was evicted: %s (the workspace's limit is KUBERNETES_JOB_VOLUME_SIZE)", message)
	}
	return fmt.Errorf("its pod was evicted: %s", message)
}

// endings tells how a pod's containers ended.
func endings(pod *corev1.Pod) []string {
	var all []string
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if t := status.State.Terminated; t != nil && t.ExitCode != 0 {
			text := fmt.Sprintf("container %s: %s, exit code %d", status.Name, t.Reason, t.ExitCode)
			if t.Message != "" {
				text += ": " + host.OneLine(t.Message)
			}
			all = append(all, text)
		}
	}
	if pod.Status.Message != "" {
		all = append(all, host.OneLine(pod.Status.Message))
	}
	if len(all) == 0 {
		all = append(all, string(pod.Status.Phase))
	}
	return all
}

// unscheduled is the scheduler's word on a pod that it has no node for; empty when it has.
func unscheduled(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return host.OneLine(condition.Message)
		}
	}
	return ""
}

// statusOf is a container's status; nil before there is one.
func statusOf(pod *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for i := range statuses {
			if statuses[i].Name == name {
				return &statuses[i]
			}
		}
	}
	return nil
}

// waits is why a container doesn't start: kind is "image", "container", or empty when nothing keeps it.
func waits(status *corev1.ContainerStatus) (kind, reason string) {
	if status == nil || status.State.Waiting == nil {
		return "", ""
	}
	waiting := status.State.Waiting
	said := host.OneLine(waiting.Message)
	if said == "" {
		said = waiting.Reason
	}
	switch waiting.Reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed":
		return "image", said
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff":
		return "container", said
	}
	return "", ""
}
