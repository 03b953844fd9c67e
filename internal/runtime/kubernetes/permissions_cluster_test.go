//go:build cluster

package kubernetes

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/runtime"
)

// deployed is the Role that the manifests give to executors.
func deployed(t testing.TB) []rbacv1.PolicyRule {
	t.Helper()
	file, err := os.Open("../../../deploy/kubernetes/jobs/role.yaml")
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	var role rbacv1.Role
	require.NoError(t, yaml.NewYAMLOrJSONDecoder(file, 4096).Decode(&role))
	require.NotEmpty(t, role.Rules)
	// deploy/helm/test holds the component pod-per-step and the charts to this.
	claims := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"create", "delete", "patch"}}
	return append(role.Rules, claims)
}

// without are rules that lack verbs of a resource.
func without(rules []rbacv1.PolicyRule, resource string, verbs ...string) []rbacv1.PolicyRule {
	var less []rbacv1.PolicyRule
	for _, rule := range rules {
		rule := *rule.DeepCopy()
		if slices.Contains(rule.Resources, resource) {
			rule.Verbs = slices.DeleteFunc(rule.Verbs, func(verb string) bool { return slices.Contains(verbs, verb) })
		}
		if len(rule.Verbs) > 0 {
			less = append(less, rule)
		}
	}
	return less
}

// as makes a way to the cluster with no other permissions than those.
func (s *site) as(t testing.TB, name string, rules []rbacv1.PolicyRule) *rest.Config {
	t.Helper()
	meta := metav1.ObjectMeta{Name: name}
	_, err := s.client.CoreV1().ServiceAccounts(s.namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = s.client.RbacV1().Roles(s.namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = s.client.RbacV1().RoleBindings(s.namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: s.namespace}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	token, err := s.client.CoreV1().ServiceAccounts(s.namespace).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	config := rest.AnonymousClientConfig(s.config)
	config.BearerToken, config.QPS, config.Burst = token.Status.Token, 200, 400
	return config
}

// all does what an executor does, with a job that brings credentials, and returns where it first failed.
func (e *executor) all(t testing.TB, config *rest.Config, log *commandtest.Log, podPerStep bool) (stage string, err error) {
	t.Helper()
	options := e.runtime.options
	options.StartTime, options.PodPerStep = 20*time.Second, podPerStep
	r, err := New(t.Context(), e.runtime.logger, config, e.name, options)
	if err != nil {
		return "new", err
	}
	defer func() { require.NoError(t, r.Close()) }()
	if _, err := r.Reap(t.Context()); err != nil {
		return "reap", err
	}
	job := e.job(t, log, "echo up")
	job.Steps = append(job.Steps, runtime.Step{Key: stepPrefix + "1", Image: e.image, Script: "s.sh", Dir: "."})
	job.DockerAuth = api.DockerAuthConfig{Auths: map[string]api.DockerAuth{"registry.invalid": {Auth: []byte("user:password")}}}
	opened, err := r.Open(t.Context(), job)
	if err != nil {
		return "open", err
	}
	runErr := opened.Run(t.Context(), job.Steps[0])
	if runErr == nil {
		runErr = opened.Run(t.Context(), job.Steps[1])
	}
	if err := opened.Close(context.Background()); err != nil {
		return "close", err
	}
	if runErr != nil {
		return "run", runErr
	}
	return "", nil
}

// The Role of the manifests is enough, and no verb of it is for nothing. Two have no failure of their own: without watching, pods are listed again and
// again, and without events a Job that has no pod yet doesn't say why.
func TestPermissions(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	rules := deployed(t)
	for name, c := range map[string]struct {
		resource string
		verbs    []string
		stage    string
	}{
		"all":           {},
		"jobs-create":   {"jobs", []string{"create"}, "open"},
		"jobs-delete":   {"jobs", []string{"delete"}, "close"},
		"pods-list":     {"pods", []string{"list"}, "new"},
		"exec":          {"pods/exec", []string{"create", "get"}, "open"},
		"secret-create": {"secrets", []string{"create"}, "open"},
		"secret-patch":  {"secrets", []string{"patch"}, "open"},
		"secret-delete": {"secrets", []string{"delete"}, "close"},
		"claim-all":     {},
		"claim-create":  {"persistentvolumeclaims", []string{"create"}, "open"},
		"claim-patch":   {"persistentvolumeclaims", []string{"patch"}, "run"},
		"claim-delete":  {"persistentvolumeclaims", []string{"delete"}, "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, log := s.executor(t, nil), commandtest.NewLog()
			stage, err := e.all(t, s.as(t, name, without(rules, c.resource, c.verbs...)), log, strings.HasPrefix(name, "claim"))
			require.Equal(t, c.stage, stage, "%v", err)
			if c.stage != "" {
				require.ErrorContains(t, err, "forbidden")
				require.ErrorContains(t, err, strings.Split(c.resource, "/")[0])
			}
		})
	}
}
