package manifests

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// variables returns the documented variables by name: the lines of the tables in docs/configuration.md.
func variables(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/configuration.md")
	require.NoError(t, err)
	all := map[string]string{}
	for _, found := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)`.*$").FindAllStringSubmatch(string(page), -1) {
		for _, name := range regexp.MustCompile("`([A-Za-z_]+)`").FindAllStringSubmatch(strings.SplitN(found[0], "|", 3)[1], -1) {
			all[name[1]] = found[0]
		}
	}
	require.Greater(t, len(all), 50)
	return all
}

// environment is that of our own container, the settings of its ConfigMap included; secret are the variables that come from Secrets.
func environment(t *testing.T, objects []*unstructured.Unstructured, container corev1.Container) (plain map[string]string, secret map[string]*corev1.SecretKeySelector) {
	t.Helper()
	plain, secret = map[string]string{}, map[string]*corev1.SecretKeySelector{}
	for _, from := range container.EnvFrom {
		for _, settings := range of(objects, "ConfigMap") {
			if settings.GetName() == from.ConfigMapRef.Name {
				for name, value := range at(t, settings, "data").(map[string]any) {
					plain[name] = value.(string)
				}
			}
		}
		require.NotEmpty(t, plain, "there is no ConfigMap %s", from.ConfigMapRef.Name)
	}
	for _, variable := range container.Env {
		require.NotContains(t, plain, variable.Name, "set twice")
		switch source := variable.ValueFrom; {
		case source == nil:
			plain[variable.Name] = variable.Value
		case source.SecretKeyRef != nil:
			secret[variable.Name] = source.SecretKeyRef
		default:
			plain[variable.Name] = source.FieldRef.FieldPath
		}
	}
	return plain, secret
}

// eachProgram runs check for our own container of each example.
func eachProgram(t *testing.T, check func(t *testing.T, c Case, spec corev1.PodSpec, plain map[string]string, secret map[string]*corev1.SecretKeySelector)) {
	t.Helper()
	each(t, func(t *testing.T, c Case, objects []*unstructured.Unstructured) {
		for _, object := range objects {
			if template, err := Template(object); template != nil {
				require.NoError(t, err)
				plain, secret := environment(t, objects, template.Spec.Containers[0])
				check(t, c, template.Spec, plain, secret)
			}
		}
	})
}

func TestSettingsAreDocumented(t *testing.T) {
	t.Parallel()
	documented := variables(t)
	eachProgram(t, func(t *testing.T, c Case, _ corev1.PodSpec, plain map[string]string, secret map[string]*corev1.SecretKeySelector) {
		prefix := "EXECUTOR_"
		if c.Chart == "frontend" {
			prefix = "FRONTEND_"
		}
		for _, name := range slices.Concat(slices.Collect(maps.Keys(plain)), slices.Collect(maps.Keys(secret))) {
			require.Contains(t, documented, name)
		}
		for name, row := range documented {
			_, isPlain := plain[name]
			_, isSecret := secret[name]
			if strings.HasPrefix(name, prefix) && strings.Contains(row, "**required**") {
				require.True(t, isPlain || isSecret, "%s is required", name)
			}
			if strings.Contains(row, "A secret") {
				require.False(t, isPlain, "%s must come from a Secret", name)
			}
		}
	})
}

// What an operator may add to a chart are the settings that it doesn't make itself: of these none is taken from two places.
func TestSchemaRefusesSettingsThatTheChartMakes(t *testing.T) {
	t.Parallel()
	documented := variables(t)
	eachProgram(t, func(t *testing.T, c Case, _ corev1.PodSpec, plain map[string]string, secret map[string]*corev1.SecretKeySelector) {
		if c.Chart == "" {
			return
		}
		for _, name := range slices.Concat(slices.Collect(maps.Keys(plain)), slices.Collect(maps.Keys(secret))) {
			own := !slices.Contains([]string{"EXECUTOR_KUBERNETES_POD_ANTI_AFFINITY", "SSL_CERT_FILE", "GIT_SSL_CAINFO", "SRC_LOG_LEVEL", "FRONTEND_MAX_JOB_LOG"}, name)
			_, err := Render(c.Chart, set(t, c.Chart, "", fmt.Sprintf("settings.%s=%q", name, "x")), testNamespace)
			if own {
				require.ErrorContains(t, err, "at '/settings", name)
			} else {
				require.NoError(t, err)
			}
		}
		for name, row := range documented {
			if strings.Contains(row, "A secret") {
				_, err := Render(c.Chart, set(t, c.Chart, "", fmt.Sprintf("settings.%s=%q", name, "x")), testNamespace)
				require.ErrorContains(t, err, "at '/settings", name)
			}
		}
	})
}

// A pod lives longer than its executor may drain, and a job's pod longer than the job may run.
func TestTimesFitTogether(t *testing.T) {
	t.Parallel()
	eachProgram(t, func(t *testing.T, c Case, spec corev1.PodSpec, plain map[string]string, _ map[string]*corev1.SecretKeySelector) {
		if c.Chart == "frontend" {
			require.GreaterOrEqual(t, *spec.TerminationGracePeriodSeconds, int64(20))
			return
		}
		seconds := func(name string) int64 {
			duration, err := time.ParseDuration(plain[name])
			require.NoError(t, err, name)
			return int64(duration.Seconds())
		}
		require.Positive(t, seconds("EXECUTOR_DRAIN_TIMEOUT"), "0 waits without limit, and the kubelet doesn't")
		require.Equal(t, seconds("EXECUTOR_DRAIN_TIMEOUT")+seconds("EXECUTOR_STOP_GRACE_PERIOD")+120, *spec.TerminationGracePeriodSeconds)
		if plain["EXECUTOR_RUNTIME"] == "kubernetes" {
			var deadline int64
			_, err := fmt.Sscan(plain["KUBERNETES_JOB_DEADLINE"], &deadline)
			require.NoError(t, err)
			require.Greater(t, deadline, seconds("EXECUTOR_MAXIMUM_RUNTIME_PER_JOB"))
		}
	})
}
