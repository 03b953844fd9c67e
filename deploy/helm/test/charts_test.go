package manifests

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

func TestChartsAreCleanForHelmsLinter(t *testing.T) {
	t.Parallel()
	for _, c := range cases(t) {
		if c.Chart == "" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			values, err := chartutil.ReadValuesFile(c.Path)
			require.NoError(t, err)
			for _, message := range lint.AllWithKubeVersion(filepath.Join(Charts, c.Chart), values, testNamespace, nil).Messages {
				// It would like an icon.
				require.LessOrEqual(t, message.Severity, support.InfoSev, "%s: %s", message.Path, message.Err)
			}
		})
	}
}

// Without the operator's own values there is nothing to install, and Helm says what is missing.
func TestRequiredValuesAreAskedFor(t *testing.T) {
	t.Parallel()
	for chart, wanted := range map[string][]string{
		"executor": {"at '/image/registry'", "at '/frontend/url'", "at '/queues'", "at '/token'"},
		"frontend": {"at '/image/registry'", "at '/executorToken'"},
	} {
		_, err := Render(chart, map[string]any{}, testNamespace)
		for _, part := range wanted {
			require.ErrorContains(t, err, part)
		}
	}
}

// values.yaml names all that the schema takes: it is what operators read.
func TestAllValuesHaveDefaults(t *testing.T) {
	t.Parallel()
	for chart := range good {
		loaded, err := loader.LoadDir(filepath.Join(Charts, chart))
		require.NoError(t, err)
		var schema map[string]any
		require.NoError(t, json.Unmarshal(loaded.Schema, &schema))
		delete(schema["properties"].(map[string]any), "global")
		haveDefaults(t, chart, schema, loaded.Values)
	}
}

func haveDefaults(t *testing.T, path string, schema, values map[string]any) {
	t.Helper()
	properties, _ := schema["properties"].(map[string]any)
	for name, property := range properties {
		if property == false {
			continue // refused
		}
		require.Contains(t, values, name, path)
		if inner, isMap := values[name].(map[string]any); isMap {
			haveDefaults(t, path+"."+name, property.(map[string]any), inner)
		}
	}
}

func TestChartsSayWhichClustersTheyAreFor(t *testing.T) {
	t.Parallel()
	for chart := range good {
		loaded, err := loader.LoadDir(filepath.Join(Charts, chart))
		require.NoError(t, err)
		for version, fit := range map[string]bool{"v1.28.9": false, "v1.29.0": true, "v1.29.4-gke.1043000": true, "v1.34.4": true} {
			require.Equal(t, fit, chartutil.IsCompatibleRange(loaded.Metadata.KubeVersion, version), "%s: %s", chart, version)
		}
	}
}
