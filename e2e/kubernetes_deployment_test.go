//go:build e2e && cluster

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/open-executor/executor/e2e/harness"
)

// deployment is executors that are pods, made from deploy/kubernetes/overlays/single-namespace.
type deployment struct {
	*cluster
	frontend *harness.Frontend
}

// Names in the manifests.
const (
	deploymentName = "executor"
	tokenSecret    = "executor-token"
	ofExecutors    = "app.kubernetes.io/component=executor"
)

// deploy does what docs/kubernetes.md tells operators to do, and waits until so many executors are Ready. Settings are added to those of the manifests.
func (c *cluster) deploy(t *testing.T, replicas int, frontend *harness.Frontend, settings ...string) *deployment {
	t.Helper()
	d := &deployment{c, frontend}
	t.Cleanup(func() { d.end(t) })
	_, err := c.client.CoreV1().Secrets(c.namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: tokenSecret}, StringData: map[string]string{"password": harness.ExecutorToken},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	for _, object := range d.render(t, replicas, settings) {
		text, err := object.MarshalJSON()
		require.NoError(t, err)
		resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
		_, err = c.objects.Resource(resource).Namespace(c.namespace).Patch(t.Context(), object.GetName(), types.ApplyPatchType, text,
			metav1.PatchOptions{FieldManager: "e2e", FieldValidation: metav1.FieldValidationStrict})
		require.NoError(t, err, "%s %s", object.GetKind(), object.GetName())
	}
	applied := time.Now()
	d.awaitReady(t, replicas)
	t.Logf("%d executors were Ready after %s", replicas, time.Since(applied).Round(time.Millisecond))
	return d
}

// render writes a kustomization as deploy/kubernetes/examples has, and builds it.
func (d *deployment) render(t *testing.T, replicas int, settings []string) []*unstructured.Unstructured {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	here, err := filepath.Abs(".")
	require.NoError(t, err)
	overlay, err := filepath.Rel(dir, filepath.Join(here, "../deploy/kubernetes/overlays/single-namespace"))
	require.NoError(t, err)
	address, err := url.Parse(d.frontend.URL)
	require.NoError(t, err)
	image, tag, _ := strings.Cut(d.executorImage, ":")
	text, err := json.Marshal(map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "namespace": d.namespace, "resources": []string{overlay},
		"replicas": []any{map[string]any{"name": deploymentName, "count": replicas}},
		"images":   []any{map[string]any{"name": "registry.invalid/executor-kubernetes", "newName": image, "newTag": tag}},
		"configMapGenerator": []any{map[string]any{"name": "executor-settings", "behavior": "merge", "literals": append([]string{
			"EXECUTOR_FRONTEND_URL=http://host.test:" + address.Port(), "EXECUTOR_QUEUE_NAME=default", "KUBERNETES_SINGLE_JOB_STEP_IMAGE=" + d.executorImage,
			"EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY=64Mi", "EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY=16Mi", "KUBERNETES_JOB_VOLUME_SIZE=64Mi",
			"SRC_LOG_LEVEL=info", "SRC_LOG_FORMAT=console",
		}, settings...)}},
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), text, 0o600))
	env := []string{"HOME=" + os.Getenv("HOME"), "GOFLAGS=" + os.Getenv("GOFLAGS"), "GOPROXY=" + os.Getenv("GOPROXY")}
	built := harness.RunCommand(t, env, "go", "run", "-C", "../deploy/helm/test", "./kustomize", dir)
	require.Zero(t, built.Code, built.Stderr)
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(built.Stdout), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		require.NoError(t, err)
		objects = append(objects, object)
	}
}

// awaitReady looks at the pods themselves: the Deployment's status still counts one that is gone, for a while.
func (d *deployment) awaitReady(t *testing.T, replicas int) {
	t.Helper()
	harness.Eventually(t, harness.Patience, fmt.Sprintf("%d executors are Ready", replicas), func() bool {
		all := d.executors(t)
		for _, pod := range all {
			ready := func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue }
			if pod.DeletionTimestamp != nil || !slices.ContainsFunc(pod.Status.Conditions, ready) {
				return false
			}
		}
		return len(all) == replicas
	})
}

// executors are the executors' pods by their names.
func (d *deployment) executors(t *testing.T) map[string]corev1.Pod {
	t.Helper()
	pods, err := d.client.CoreV1().Pods(d.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: ofExecutors})
	require.NoError(t, err)
	all := map[string]corev1.Pod{}
	for _, pod := range pods.Items {
		all[pod.Name] = pod
	}
	return all
}

func (d *deployment) scale(t *testing.T, replicas int32) {
	t.Helper()
	_, err := d.client.AppsV1().Deployments(d.namespace).UpdateScale(t.Context(), deploymentName, &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: deploymentName, Namespace: d.namespace}, Spec: autoscalingv1.ScaleSpec{Replicas: replicas},
	}, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// logs follows the logs of the executors that there are now; the function that it returns waits for the executors' ends and returns the logs.
func (d *deployment) logs(t *testing.T) func() map[string]string {
	t.Helper()
	var streams sync.WaitGroup
	logs := map[string]*bytes.Buffer{}
	ctx := harness.Context(t)
	for name := range d.executors(t) {
		stream, err := d.client.CoreV1().Pods(d.namespace).GetLogs(name, &corev1.PodLogOptions{Follow: true}).Stream(ctx)
		require.NoError(t, err)
		log := &bytes.Buffer{}
		logs[name] = log
		streams.Go(func() {
			defer stream.Close()
			_, _ = log.ReadFrom(stream) // what is missing shows in the text
		})
	}
	return func() map[string]string {
		streams.Wait()
		texts := map[string]string{}
		for name, log := range logs {
			texts[name] = log.String()
		}
		return texts
	}
}

// awaitSaid waits until the log of an executor's pod has a text.
func (d *deployment) awaitSaid(t *testing.T, pod, text string) {
	t.Helper()
	harness.Eventually(t, harness.Patience, pod+" says "+text, func() bool {
		said, err := d.client.CoreV1().Pods(d.namespace).GetLogs(pod, &corev1.PodLogOptions{}).DoRaw(t.Context())
		require.NoError(t, err)
		return bytes.Contains(said, []byte(text))
	})
}

// ends tells of executors' pods that are gone.
type ends struct {
	events watch.Interface
	codes  map[string]int32
}

// watch begins to look at the executors' pods.
func (d *deployment) watch(t *testing.T) *ends {
	t.Helper()
	events, err := d.client.CoreV1().Pods(d.namespace).Watch(harness.Context(t), metav1.ListOptions{LabelSelector: ofExecutors})
	require.NoError(t, err)
	t.Cleanup(events.Stop)
	return &ends{events, map[string]int32{}}
}

// next waits for the next one; -1 stands for an exit code that nobody told.
func (e *ends) next(t *testing.T) (name string, code int32) {
	t.Helper()
	for event := range e.events.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		require.True(t, ok, "%v", event.Object)
		for _, status := range pod.Status.ContainerStatuses {
			if status.State.Terminated != nil {
				e.codes[pod.Name] = status.State.Terminated.ExitCode
			}
		}
		if event.Type != watch.Deleted {
			continue
		}
		if code, told := e.codes[pod.Name]; told {
			return pod.Name, code
		}
		return pod.Name, -1
	}
	require.Fail(t, "no executor's pod ended in time")
	return "", -1
}

// end removes executors and jobs at once: deleting the namespace would let them drain. After a test that failed it tells what they said.
func (d *deployment) end(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), harness.Patience)
	defer cancel()
	if t.Failed() {
		d.tell(ctx, t)
	}
	soon, all := metav1.DeleteOptions{GracePeriodSeconds: new(int64(1)), PropagationPolicy: new(metav1.DeletePropagationBackground)}, metav1.ListOptions{}
	// What makes pods goes before them.
	for kind, err := range map[string]error{
		"deployments":  d.client.AppsV1().Deployments(d.namespace).DeleteCollection(ctx, soon, all),
		"replica sets": d.client.AppsV1().ReplicaSets(d.namespace).DeleteCollection(ctx, soon, all),
		"jobs":         d.client.BatchV1().Jobs(d.namespace).DeleteCollection(ctx, soon, all),
		"pods":         d.client.CoreV1().Pods(d.namespace).DeleteCollection(ctx, soon, all),
	} {
		if err != nil {
			t.Errorf("deleting %s: %v", kind, err)
		}
	}
}

func (d *deployment) tell(ctx context.Context, t *testing.T) {
	pods, err := d.client.CoreV1().Pods(d.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Logf("listing pods: %v", err)
		return
	}
	for _, pod := range pods.Items {
		said, err := d.client.CoreV1().Pods(d.namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: pod.Spec.Containers[0].Name}).DoRaw(ctx)
		t.Logf("pod %s on %s: %s %s (%v)\n%s", pod.Name, pod.Spec.NodeName, pod.Status.Phase, pod.Status.Message, err, said)
	}
}
