//go:build e2e && cluster

package e2e

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
)

// jobPods selects the pods of jobs, and what else is made for jobs.
const jobPods = "app.kubernetes.io/managed-by=open-executor"

// A node is cordoned and drained while jobs and all executors run there. The executors go one after the other; the jobs fail as by the cluster's doing, and the
// one that has a retry runs again on another node. It runs alone, since pods of other tests would have to do with one node.
func TestPodsOfADrainedNode(t *testing.T) {
	c := newCluster(t)
	nodes, err := c.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Greater(t, len(nodes.Items), 1, "the cluster has one node: EXECUTOR_CLUSTER_NODES=2 dev/cluster up")
	drained, other := nodes.Items[0].Name, nodes.Items[1].Name
	c.cordon(t, other, true)
	d := c.deploy(t, 2, harness.StartFrontendAt(t, c.host))
	gate := newPodGate(t, c)
	var ids [2]int64
	for retries := range ids {
		ids[retries] = d.frontend.Submit(t, fmt.Sprintf("retries: %d\n%s", retries, gate.job(c.images[0]))).ID
	}
	for _, id := range ids {
		d.frontend.AwaitLog(t, id, "stdout: up\n")
	}
	c.cordon(t, other, false)
	c.cordon(t, drained, true)
	ends := d.watch(t)
	require.Positive(t, c.drain(t, drained, jobPods), "the budget allowed the eviction of all executors at once")
	// An executor there may have taken the retry, and then waits for its end.
	gate.open()
	c.drain(t, drained, "")
	for range 2 {
		name, code := ends.next(t)
		require.Zero(t, code, name)
	}

	reason := "The step was lost: its pod was evicted from node " + drained + ", as when that is drained: "
	lost, log := d.frontend.Await(t, ids[0])
	require.Equal(t, jobs.Failed, lost.State, log)
	require.Len(t, lost.Attempts, 1)
	require.Contains(t, log, reason)
	require.Equal(t, "stdout: up\n", stdoutOf(log))
	again, log := d.frontend.Await(t, ids[1])
	require.Equal(t, jobs.Completed, again.State, log)
	require.Len(t, again.Attempts, 2)
	require.Contains(t, d.frontend.Log(t, ids[1], 1), reason)
	require.Contains(t, log, " runs on node "+other+" ")
	require.Equal(t, "stdout: up\nstdout: down\n", stdoutOf(log))
	require.Equal(t, []string{"errored", "completed"}, []string{again.Attempts[0].Cause, again.Attempts[1].Cause})
	d.awaitReady(t, 2)
	for name, pod := range d.executors(t) {
		require.Equal(t, other, pod.Spec.NodeName, name)
	}
	d.requireOnlyItsOwn(t)
}

// cordon keeps new pods from a node, until the end of the test at the latest.
func (c *cluster) cordon(t *testing.T, node string, on bool) {
	t.Helper()
	set := func(ctx context.Context, on bool) {
		_, err := c.client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, on), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	if on {
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), harness.Patience)
			defer cancel()
			set(ctx, false)
		})
	}
	set(t.Context(), on)
}

// drain evicts the namespace's pods from a node, as "kubectl drain" does: where a budget doesn't allow it yet, it asks again. It waits until those that have the
// labels are gone, and returns how often a budget didn't allow it.
func (c *cluster) drain(t *testing.T, node, awaited string) (refused int) {
	t.Helper()
	selector, err := labels.Parse(awaited)
	require.NoError(t, err)
	harness.Eventually(t, harness.Patience, "pods are gone from "+node, func() bool {
		pods, err := c.client.CoreV1().Pods(c.namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
		require.NoError(t, err)
		left := 0
		for _, pod := range pods.Items {
			if selector.Matches(labels.Set(pod.Labels)) {
				left++
			}
			if pod.DeletionTimestamp != nil {
				continue
			}
			err := c.client.PolicyV1().Evictions(c.namespace).Evict(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: c.namespace}})
			switch {
			case apierrors.IsTooManyRequests(err):
				refused++
			case !apierrors.IsNotFound(err):
				require.NoError(t, err)
			}
		}
		return left == 0
	})
	return refused
}

// The Secrets of running executors and jobs are deleted by hand: neither notices.
func TestPodsWhoseSecretsAreDeleted(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	d := c.deploy(t, 1, harness.StartFrontendAt(t, c.host), `EXECUTOR_DOCKER_AUTH_CONFIG={"auths":{"registry.invalid":{"auth":"dXNlcjpwYXNzd29yZA=="}}}`)
	gate := newPodGate(t, c)
	held := d.frontend.Submit(t, gate.job(c.images[0])+fmt.Sprintf("  - {key: then, image: %q, run: echo then}\n", c.images[1]))
	d.frontend.AwaitLog(t, held.ID, "stdout: up\n")
	secrets := c.client.CoreV1().Secrets(c.namespace)
	pulling, err := secrets.List(t.Context(), metav1.ListOptions{LabelSelector: jobPods})
	require.NoError(t, err)
	require.Len(t, pulling.Items, 1)
	require.Equal(t, corev1.SecretTypeDockerConfigJson, pulling.Items[0].Type)
	for _, name := range []string{pulling.Items[0].Name, tokenSecret} {
		require.NoError(t, secrets.Delete(t.Context(), name, metav1.DeleteOptions{}))
	}
	gate.open()
	d.requireCompleted(t, held.ID, "stdout: up\nstdout: down\nstdout: then\n")
	d.requireCompleted(t, d.frontend.Submit(t, c.threeSteps("later")).ID, "stdout: later\nstdout: more\n")
	d.requireOnlyItsOwn(t)
	logs, ends := d.logs(t), d.watch(t)
	for name, pod := range d.executors(t) {
		require.True(t, pod.Status.ContainerStatuses[0].Ready, name)
		require.Zero(t, pod.Status.ContainerStatuses[0].RestartCount, name)
	}
	d.scale(t, 0)
	name, code := ends.next(t)
	require.Zero(t, code, name)
	for name, log := range logs() {
		require.NotContains(t, log, "ERROR", name)
	}
}
