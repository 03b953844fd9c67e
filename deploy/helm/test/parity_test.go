package manifests

import (
	"cmp"
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
)

// Charts and kustomizations are two ways to the same pods: what differs are names, labels, images, and who says what is set.
func TestChartAndKustomizationMakeTheSamePods(t *testing.T) {
	t.Parallel()
	for charted, kustomized := range map[string]string{"helm/executor/native": "kustomize/single-namespace", "helm/executor/dind": "kustomize/dind"} {
		var specs []string
		var settings []map[string]string
		for _, name := range []string{charted, kustomized} {
			objects := example(t, name)
			template, err := Template(one(t, objects, "Deployment"))
			require.NoError(t, err)
			spec := template.Spec
			plain, secret := environment(t, objects, spec.Containers[0])
			require.Equal(t, &corev1.SecretKeySelector{LocalObjectReference: secret["EXECUTOR_FRONTEND_PASSWORD"].LocalObjectReference, Key: "password"},
				secret["EXECUTOR_FRONTEND_PASSWORD"])
			spec.ServiceAccountName = ""
			slices.SortFunc(spec.Volumes, func(a, b corev1.Volume) int { return cmp.Compare(a.Name, b.Name) })
			for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
				for i := range containers {
					containers[i].Image, containers[i].Args = "", nil
					slices.SortFunc(containers[i].VolumeMounts, func(a, b corev1.VolumeMount) int { return cmp.Compare(a.Name, b.Name) })
				}
			}
			spec.Containers[0].Env, spec.Containers[0].EnvFrom = nil, nil
			text, err := json.MarshalIndent(spec, "", " ")
			require.NoError(t, err)
			specs, settings = append(specs, string(text)), append(settings, plain)
		}
		require.Equal(t, specs[0], specs[1], charted)
		for name, value := range settings[1] {
			switch name {
			case "KUBERNETES_JOB_POD_ANNOTATIONS":
				require.JSONEq(t, settings[0][name], value)
			case "KUBERNETES_SINGLE_JOB_STEP_IMAGE", "EXECUTOR_MAXIMUM_NUM_JOBS":
			default:
				require.Equal(t, settings[0][name], value, "%s: %s", charted, name)
			}
		}
	}
}

func TestExecutorsMakeWayOneAfterAnother(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"helm/executor/native", "helm/executor/dind", "kustomize/native", "kustomize/dind"} {
		typed, err := Typed(one(t, example(t, name), "PodDisruptionBudget"))
		require.NoError(t, err)
		budget := typed.(*policyv1.PodDisruptionBudget)
		require.Equal(t, "1", budget.Spec.MaxUnavailable.String(), "0 would keep nodes from being drained")
		require.Equal(t, policyv1.AlwaysAllow, *budget.Spec.UnhealthyPodEvictionPolicy)
	}
}
