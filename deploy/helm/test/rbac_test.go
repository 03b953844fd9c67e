package manifests

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// permissions are all that internal/runtime/kubernetes needs, by API group and resource.
var permissions = map[string][]string{
	"batch/jobs": {"create", "delete"},
	"/pods":      {"list", "watch"},
	"/pods/exec": {"create", "get"},
	"/secrets":   {"create", "delete", "patch"},
	"/events":    {"list"},
}

// claimPermissions come with a pod for each step.
var claimPermissions = map[string][]string{"/persistentvolumeclaims": {"create", "delete", "patch"}}

// granted are the permissions of a Role.
func granted(t *testing.T, object *unstructured.Unstructured) map[string][]string {
	t.Helper()
	typed, err := Typed(object)
	require.NoError(t, err)
	all := map[string][]string{}
	for _, rule := range typed.(*rbacv1.Role).Rules {
		require.Empty(t, rule.ResourceNames)
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				key := group + "/" + resource
				require.NotContains(t, all, key)
				all[key] = slices.Sorted(slices.Values(rule.Verbs))
			}
		}
	}
	return all
}

func TestExecutorsMayDoWhatTheyNeedAndNoMore(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c Case, objects []*unstructured.Unstructured) {
		require.Empty(t, of(objects, "ClusterRole"))
		require.Empty(t, of(objects, "ClusterRoleBinding"))
		if c.Chart == "frontend" || strings.Contains(c.Name, "dind") {
			require.Empty(t, of(objects, "Role"), "there is nothing to ask the cluster")
			return
		}
		role := one(t, objects, "Role")
		want := maps.Clone(permissions)
		if strings.Contains(c.Name, "pod-per-step") {
			maps.Copy(want, claimPermissions)
		}
		require.Equal(t, want, granted(t, role))

		typed, err := Typed(one(t, objects, "RoleBinding"))
		require.NoError(t, err)
		binding := typed.(*rbacv1.RoleBinding)
		account := one(t, objects, "ServiceAccount")
		namespace := account.GetNamespace()
		if c.Chart != "" {
			namespace = testNamespace
		}
		require.Equal(t, role.GetNamespace(), binding.Namespace)
		require.Equal(t, role.GetName(), binding.RoleRef.Name)
		require.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: account.GetName(), Namespace: namespace}}, binding.Subjects)
		template, err := Template(one(t, objects, "Deployment"))
		require.NoError(t, err)
		require.Equal(t, account.GetName(), template.Spec.ServiceAccountName)
	})
}

// Only executors that make pods have a token of the cluster.
func TestTokensAreMountedWhereNeeded(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c Case, objects []*unstructured.Unstructured) {
		require.Equal(t, false, at(t, one(t, objects, "ServiceAccount"), "automountServiceAccountToken"))
		makesPods := c.Chart != "frontend" && !strings.Contains(c.Name, "dind")
		for _, object := range objects {
			if template, err := Template(object); template != nil {
				require.NoError(t, err)
				require.Equal(t, makesPods, *template.Spec.AutomountServiceAccountToken)
			}
		}
	})
}

// The operators' table says what the manifests grant.
func TestTheDocumentedPermissionsAreThese(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/kubernetes.md")
	require.NoError(t, err)
	documented := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(batch)?/?([a-z/]+)` \\| `([a-z]+)` \\| \\S.* \\|$").FindAllStringSubmatch(string(page), -1) {
		key := row[1] + "/" + row[2]
		documented[key] = append(documented[key], row[3])
	}
	for key := range documented {
		slices.Sort(documented[key])
	}
	want := maps.Clone(permissions)
	maps.Copy(want, claimPermissions)
	require.Equal(t, want, documented)
}
