package manifests

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The types of these objects come with operators that a test cluster doesn't have, so that they are compared whole.

func TestScaledObject(t *testing.T) {
	t.Parallel()
	objects := example(t, "helm/executor/autoscaling")
	scaled := one(t, objects, "ScaledObject")
	require.Equal(t, "keda.sh/v1alpha1", scaled.GetAPIVersion())
	require.Equal(t, map[string]any{
		"scaleTargetRef":  map[string]any{"name": "ci-executor"},
		"minReplicaCount": int64(0),
		"maxReplicaCount": int64(40),
		"cooldownPeriod":  int64(300),
		"advanced": map[string]any{"horizontalPodAutoscalerConfig": map[string]any{"behavior": map[string]any{
			"scaleDown": map[string]any{"stabilizationWindowSeconds": int64(300)},
		}}},
		"triggers": []any{map[string]any{"type": "prometheus", "metadata": map[string]any{
			"serverAddress":    "http://prometheus.monitoring:9090",
			"query":            `sum(max by (__name__, queue) ({__name__=~"src_executor_total|src_executor_processing",queue=~"batches|codeintel"}))`,
			"threshold":        "5",
			"ignoreNullValues": "false",
		}}},
	}, scaled.Object["spec"])

	deployment := one(t, objects, "Deployment")
	require.Equal(t, "ci-executor", deployment.GetName())
	require.NotContains(t, deployment.Object["spec"], "replicas", "each upgrade would undo the scaling")
	source, err := os.ReadFile("../../../internal/frontend/server/health.go")
	require.NoError(t, err)
	for _, metric := range []string{`"src_executor_total"`, `"src_executor_processing"`, `[]string{"queue"}`} {
		require.Contains(t, string(source), metric, "the frontend's metrics have other names")
	}
}

func TestPodMonitors(t *testing.T) {
	t.Parallel()
	for name, port := range map[string]string{"helm/executor/autoscaling": "debug", "helm/frontend/ingress": "http"} {
		objects := example(t, name)
		monitor := one(t, objects, "PodMonitor")
		require.Equal(t, "monitoring.coreos.com/v1", monitor.GetAPIVersion())
		require.Equal(t, []any{map[string]any{"port": port, "path": "/metrics", "interval": "30s"}}, at(t, monitor, "spec", "podMetricsEndpoints"))
		for _, object := range objects {
			if template, err := Template(object); template != nil {
				require.NoError(t, err)
				require.Equal(t, port, template.Spec.Containers[0].Ports[0].Name)
			}
		}
	}
}

func TestNothingElseIsForeign(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c Case, objects []*unstructured.Unstructured) {
		for _, object := range objects {
			if Foreign(object) {
				require.Contains(t, []string{"ScaledObject", "PodMonitor"}, object.GetKind())
				require.Contains(t, []string{"helm/executor/autoscaling", "helm/frontend/ingress"}, c.Name)
			}
		}
	})
}
