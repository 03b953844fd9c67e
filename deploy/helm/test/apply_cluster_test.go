//go:build cluster

package manifests

import (
	"context"
	"crypto/rand"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Tests in files with the build tag cluster ask the API server that KUBECONFIG leads to: deploy/kubernetes/dry_run.

// site is a cluster, with namespaces of this test's own.
type site struct {
	client  kubernetes.Interface
	dynamic dynamic.Interface
}

func newSite(t *testing.T) *site {
	t.Helper()
	path := os.Getenv("KUBECONFIG")
	require.NotEmpty(t, path, "KUBECONFIG is not set: run deploy/kubernetes/dry_run")
	config, err := clientcmd.BuildConfigFromFlags("", path)
	require.NoError(t, err)
	config.QPS, config.Burst = 200, 400
	config.WarningHandler = rest.NoWarnings{}
	web, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	t.Cleanup(web.CloseIdleConnections)
	client, err := kubernetes.NewForConfigAndClient(config, web)
	require.NoError(t, err)
	objects, err := dynamic.NewForConfigAndClient(config, web)
	require.NoError(t, err)
	return &site{client, objects}
}

// namespace makes one that holds its pods to a Pod Security Standard, with the service accounts of all examples.
func (s *site) namespace(t *testing.T, standard string) string {
	t.Helper()
	name := "dry-run-" + strings.ToLower(rand.Text()[:8])
	_, err := s.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": standard},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		require.NoError(t, s.client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}))
		require.NoError(t, wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
			_, err := s.client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		}))
	})
	for _, account := range []string{"executor", Release + "-executor", Release + "-frontend"} {
		_, err := s.client.CoreV1().ServiceAccounts(name).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	return name
}

// apply asks the API server what it would do with an object; members that it doesn't know are errors.
func (s *site) apply(ctx context.Context, object *unstructured.Unstructured, namespace string) error {
	text, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	_, err = s.dynamic.Resource(resource).Namespace(namespace).Patch(ctx, object.GetName(), types.ApplyPatchType, text, metav1.PatchOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: "dry-run", FieldValidation: metav1.FieldValidationStrict, Force: new(true),
	})
	return err
}

// pod asks what it would do with a pod of a template.
func (s *site) pod(ctx context.Context, template *corev1.PodTemplateSpec, namespace string) error {
	_, err := s.client.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "dry-run", Labels: template.Labels, Annotations: template.Annotations}, Spec: template.Spec,
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
	return err
}

// claimed gives a template the volume that a StatefulSet claims for its pods.
func claimed(template *corev1.PodTemplateSpec) {
	spec := &template.Spec
	mounted := slices.ContainsFunc(spec.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "data" })
	if mounted && !slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == "data" }) {
		claim := &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-0"}
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: claim}})
	}
}

// Every example passes, and so do its pods: under the Pod Security Standard "restricted", or where they are privileged under none other than that.
func TestTheAPIServerTakesAllExamples(t *testing.T) {
	s := newSite(t)
	restricted, baseline, privileged := s.namespace(t, "restricted"), s.namespace(t, "baseline"), s.namespace(t, "privileged")
	applied := 0
	for _, c := range cases(t) {
		namespace := restricted
		if strings.Contains(c.Name, "dind") {
			namespace = privileged
		}
		objects, err := c.Objects(namespace)
		require.NoError(t, err)
		for _, object := range objects {
			name := c.Name + ": " + object.GetKind() + " " + object.GetName()
			if Foreign(object) {
				continue // the cluster has no such kind; TestScaledObject and TestPodMonitors look at them
			}
			if slices.Contains([]string{"executors", "executor-jobs"}, object.GetNamespace()) {
				object.SetNamespace(namespace)
			}
			require.NoError(t, s.apply(t.Context(), object, namespace), name)
			applied++
			template, err := Template(object)
			require.NoError(t, err)
			if template == nil {
				continue
			}
			claimed(template)
			require.NoError(t, s.pod(t.Context(), template, namespace), name)
			if namespace == privileged {
				require.True(t, apierrors.IsForbidden(s.pod(t.Context(), template, baseline)), "%s is not as open as it is said to be", name)
			}
		}
	}
	require.Greater(t, applied, 50)
	t.Logf("the API server takes %d objects", applied)
}

// A dry run that takes anything would prove nothing.
func TestTheAPIServerRefusesWhatIsWrong(t *testing.T) {
	s := newSite(t)
	namespace := s.namespace(t, "restricted")
	deployment := func() *unstructured.Unstructured {
		for _, object := range example(t, "helm/executor/native") {
			if object.GetKind() == "Deployment" {
				return object
			}
		}
		return nil
	}
	unknown := deployment()
	require.NoError(t, unstructured.SetNestedField(unknown.Object, "yes", "spec", "template", "spec", "drained"))
	require.ErrorContains(t, s.apply(t.Context(), unknown, namespace), "drained")
	wrong := deployment()
	require.NoError(t, unstructured.SetNestedField(wrong.Object, int64(-1), "spec", "replicas"))
	require.ErrorContains(t, s.apply(t.Context(), wrong, namespace), "spec.replicas")
	template, err := Template(deployment())
	require.NoError(t, err)
	template.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = new(true)
	require.ErrorContains(t, s.pod(t.Context(), template, namespace), "allowPrivilegeEscalation")
}
