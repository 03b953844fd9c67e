package manifests

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// One pod writes to the file of a SQLite database, whose volume outlives the release.
func TestSQLiteHasOneWriter(t *testing.T) {
	t.Parallel()
	typed, err := Typed(one(t, example(t, "helm/frontend/sqlite"), "StatefulSet"))
	require.NoError(t, err)
	spec := typed.(*appsv1.StatefulSet).Spec
	require.Equal(t, int32(1), *spec.Replicas)
	require.Len(t, spec.VolumeClaimTemplates, 1)
	claim := spec.VolumeClaimTemplates[0]
	require.Equal(t, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, claim.Spec.AccessModes)
	require.Nil(t, claim.Spec.StorageClassName, "the cluster's default")
	require.Equal(t, appsv1.RetainPersistentVolumeClaimRetentionPolicyType, spec.PersistentVolumeClaimRetentionPolicy.WhenDeleted)
	require.Equal(t, claim.Name, spec.Template.Spec.Containers[0].VolumeMounts[0].Name)

	typed, err = Typed(one(t, example(t, "helm/frontend/ingress"), "StatefulSet"))
	require.NoError(t, err)
	spec = typed.(*appsv1.StatefulSet).Spec
	require.Empty(t, spec.VolumeClaimTemplates)
	claims := map[string]string{}
	for _, volume := range spec.Template.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil {
			claims[volume.Name] = volume.PersistentVolumeClaim.ClaimName
		}
	}
	require.Equal(t, map[string]string{"data": "frontend-data", "repositories": "repositories"}, claims)
}

func TestPostgreSQLIsReachedByASecret(t *testing.T) {
	t.Parallel()
	objects := example(t, "helm/frontend/postgresql")
	require.Empty(t, of(objects, "StatefulSet"))
	template, err := Template(one(t, objects, "Deployment"))
	require.NoError(t, err)
	_, secret := environment(t, objects, template.Spec.Containers[0])
	require.Equal(t, "frontend-database", secret["FRONTEND_DATABASE_URL"].Name)
	require.Equal(t, "api-token", secret["FRONTEND_API_TOKEN"].Name, "several frontends must not make a token each")
	require.Len(t, of(objects, "PodDisruptionBudget"), 1)
}

// Executors and clients come in from outside; metrics, which ask for no password, stay inside.
func TestTheIngressShowsWhatIsMeantForOthers(t *testing.T) {
	t.Parallel()
	typed, err := Typed(one(t, example(t, "helm/frontend/ingress"), "Ingress"))
	require.NoError(t, err)
	var paths []string
	for _, rule := range typed.(*networkingv1.Ingress).Spec.Rules {
		for _, path := range rule.HTTP.Paths {
			require.Equal(t, "http", path.Backend.Service.Port.Name)
			paths = append(paths, path.Path)
		}
	}
	require.Equal(t, []string{"/.executors", "/.api/src-cli", "/api/v1"}, paths)
}

// A token in a value ends in a Secret and nowhere else.
func TestTokensAreInSecretsOnly(t *testing.T) {
	t.Parallel()
	const token = "correct-horse-battery-staple"
	for chart, value := range map[string]string{"executor": "token", "frontend": "executorToken"} {
		objects, err := Render(chart, set(t, chart, value+".existingSecret=,"+value+".value="+token, ""), testNamespace)
		require.NoError(t, err)
		secrets := 0
		for _, object := range objects {
			if object.GetKind() == "Secret" {
				secrets++
				require.Equal(t, token, at(t, object, "stringData", "password"))
				continue
			}
			text, err := object.MarshalJSON()
			require.NoError(t, err)
			require.NotContains(t, string(text), token, object.GetName())
		}
		require.Equal(t, 1, secrets)
		without, err := Render(chart, set(t, chart, "", ""), testNamespace)
		require.NoError(t, err)
		require.Empty(t, of(without, "Secret"))
	}
}
