package manifests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What the API server would say of members that it doesn't know.
func TestObjectsAreOfTheirTypes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ Case, objects []*unstructured.Unstructured) {
		for _, object := range objects {
			if !Foreign(object) {
				_, err := Typed(object)
				require.NoError(t, err)
			}
		}
	})
}

func TestNoObjectHasANamespaceOfItsOwn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c Case, objects []*unstructured.Unstructured) {
		for _, object := range objects {
			switch {
			case c.Chart == "":
				// The examples name two, which the bases don't: below.
				require.Contains(t, []string{"executors", "executor-jobs"}, object.GetNamespace(), object.GetName())
			case object.GetNamespace() != "":
				require.Equal(t, "helm/executor/two-namespaces", c.Name)
				require.Equal(t, "executor-jobs", object.GetNamespace())
				require.Contains(t, []string{"Role", "RoleBinding", "NetworkPolicy"}, object.GetKind())
			}
		}
	})
	for _, dir := range []string{"overlays/native", "overlays/single-namespace", "overlays/dind", "jobs", "network"} {
		objects, err := Kustomize(Kustomizations + "/" + dir)
		require.NoError(t, err)
		require.NotEmpty(t, objects)
		for _, object := range objects {
			require.Empty(t, object.GetNamespace(), "%s: %s", dir, object.GetName())
		}
	}
}

func TestObjectsHaveLabels(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c Case, objects []*unstructured.Unstructured) {
		wanted := []string{"app.kubernetes.io/name", "app.kubernetes.io/component"}
		if c.Chart != "" {
			wanted = append(wanted, "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart")
		}
		for _, object := range objects {
			for _, label := range wanted {
				require.NotEmpty(t, object.GetLabels()[label], "%s %s has no label %s", object.GetKind(), object.GetName(), label)
			}
		}
	})
}

// What a workload, a budget, a service, a monitor or a policy selects are this release's pods, and never those of jobs.
func TestSelectorsFindTheirPodsOnly(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ Case, objects []*unstructured.Unstructured) {
		var pods map[string]string
		for _, object := range objects {
			if template, err := Template(object); template != nil {
				require.NoError(t, err)
				pods = template.Labels
			}
		}
		require.NotEmpty(t, pods)
		require.NotEqual(t, "open-executor", pods["app.kubernetes.io/managed-by"], "executors would pass as jobs")
		for _, object := range objects {
			path := map[string][]string{
				"Deployment": {"spec", "selector", "matchLabels"}, "StatefulSet": {"spec", "selector", "matchLabels"}, "Service": {"spec", "selector"},
				"PodDisruptionBudget": {"spec", "selector", "matchLabels"}, "PodMonitor": {"spec", "selector", "matchLabels"},
				"NetworkPolicy": {"spec", "podSelector", "matchLabels"},
			}[object.GetKind()]
			if path == nil {
				continue
			}
			selector := at(t, object, path...).(map[string]any)
			require.NotEmpty(t, selector, object.GetName())
			if strings.HasSuffix(object.GetName(), "-jobs") {
				require.Equal(t, map[string]any{"app.kubernetes.io/managed-by": "open-executor"}, selector)
				continue
			}
			for label, value := range selector {
				// The rest changes with versions: pods of the last one would be let go.
				require.Contains(t, []string{"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}, label, object.GetName())
				require.Equal(t, pods[label], value, "%s %s: %s", object.GetKind(), object.GetName(), label)
			}
		}
	})
}

func TestContainersAreClosed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c Case, objects []*unstructured.Unstructured) {
		workloads := 0
		for _, object := range objects {
			template, err := Template(object)
			require.NoError(t, err)
			if template == nil {
				continue
			}
			workloads++
			podIsClosed(t, template)
			for _, container := range Containers(template) {
				name := fmt.Sprintf("%s: %s", object.GetName(), container.Name)
				require.NotEmpty(t, container.Resources.Requests.Cpu().String(), name)
				require.False(t, container.Resources.Requests.Cpu().IsZero(), name)
				require.False(t, container.Resources.Requests.Memory().IsZero(), name)
				require.NotContains(t, container.Image, ":latest", name)
				require.NotContains(t, container.Image, ".invalid", name)
				require.Regexp(t, `:[^/:]+$`, container.Image, name)
				security := container.SecurityContext
				require.NotNil(t, security, name)
				if container.Name == "dind" {
					require.Contains(t, c.Name, "dind", "a privileged container")
					require.True(t, *security.Privileged, name)
					continue
				}
				require.Equal(t, corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				}, *security, name)
				probesAreReal(t, container)
			}
		}
		require.Equal(t, 1, workloads)
	})
}

func podIsClosed(t *testing.T, template *corev1.PodTemplateSpec) {
	t.Helper()
	spec := template.Spec
	require.True(t, *spec.SecurityContext.RunAsNonRoot)
	require.Equal(t, int64(1000), *spec.SecurityContext.RunAsUser)
	require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, spec.SecurityContext.SeccompProfile.Type)
	require.False(t, spec.HostNetwork || spec.HostPID || spec.HostIPC)
	require.False(t, *spec.EnableServiceLinks)
	for _, volume := range spec.Volumes {
		require.Nil(t, volume.HostPath, volume.Name)
		if volume.EmptyDir != nil {
			require.NotNil(t, volume.EmptyDir.SizeLimit, volume.Name)
		}
	}
}

// probesAreReal: they ask the program, at a port that the container names.
func probesAreReal(t *testing.T, container corev1.Container) {
	t.Helper()
	ports := map[string]bool{}
	for _, port := range container.Ports {
		ports[port.Name] = true
	}
	for _, probe := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
		require.NotNil(t, probe, container.Name)
		require.NotNil(t, probe.HTTPGet, container.Name)
		require.True(t, ports[probe.HTTPGet.Port.StrVal], "%s: no port %s", container.Name, probe.HTTPGet.Port.String())
		require.Contains(t, []string{"/metrics", "/healthz", "/readyz"}, probe.HTTPGet.Path)
	}
	require.NotEqual(t, container.LivenessProbe.HTTPGet.Path, container.ReadinessProbe.HTTPGet.Path, "a frontend that is down must not end executors")
}
