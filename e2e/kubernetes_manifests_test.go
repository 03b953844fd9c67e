//go:build e2e && cluster

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
)

// draining is what an executor says when it was told to end.
const draining = "draining: no new jobs are taken"

// Three executors are pods themselves, made from the manifests. They share jobs, leave nothing of them, and drain when they are scaled down.
func TestPodsOfExecutorsFromTheManifests(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	d := c.deploy(t, 3, harness.StartFrontendAt(t, c.host, "FRONTEND_REPOS_DIR="+harness.Repositories(t, "cloned")))
	gate := newPodGate(t, c)
	live := d.frontend.Submit(t, gate.job(c.images[0]))
	cloned := d.frontend.Submit(t, fmt.Sprintf("repository: {name: cloned, commit: main}\nsteps:\n  - {key: look, image: %q, run: %q}\n",
		c.images[0], "test -s .git/HEAD && echo cloned"))
	var ids []int64
	for i := range jobCount(t) {
		ids = append(ids, d.frontend.Submit(t, c.threeSteps(fmt.Sprintf("job-%d", i))).ID)
	}
	d.frontend.AwaitLog(t, live.ID, "stdout: up\n")
	job, log := d.frontend.Await(t, cloned.ID)
	require.Equal(t, jobs.Completed, job.State, log)
	require.Contains(t, log, "stdout: cloned\n")
	took := map[string]int{}
	for i, id := range ids {
		took[podOf(d.requireCompleted(t, id, fmt.Sprintf("stdout: job-%d\nstdout: more\n", i)).Executor)]++
	}
	t.Logf("jobs by executor: %v", took)
	require.Greater(t, len(took), 1, "one executor took all jobs")
	require.Subset(t, slices.Collect(maps.Keys(d.executors(t))), slices.Collect(maps.Keys(took)))

	running, err := d.frontend.Client.Job(harness.Context(t), live.ID)
	require.NoError(t, err)
	logs, ends := d.logs(t), d.watch(t)
	d.scale(t, 0)
	for range 2 {
		name, code := ends.next(t)
		require.NotEqual(t, podOf(running.Executor), name, "it has a job")
		require.Zero(t, code, name)
	}
	gate.open()
	d.requireCompleted(t, live.ID, "stdout: up\nstdout: down\n")
	name, code := ends.next(t)
	require.Equal(t, podOf(running.Executor), name)
	require.Zero(t, code)
	for name, log := range logs() {
		require.Contains(t, log, draining, name)
	}
	d.requireOnlyItsOwn(t)
}

// A new version is rolled out while a job runs. The new executor takes the next job, and leaves that one to the old executor, which ends after it.
func TestPodsOfExecutorsThatAreReplaced(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	// One job at a time: a request for a second one might be under way when the old one is told to end.
	d := c.deploy(t, 1, harness.StartFrontendAt(t, c.host), "EXECUTOR_MAXIMUM_NUM_JOBS=1")
	gate := newPodGate(t, c)
	live := d.frontend.Submit(t, gate.job(c.images[0]))
	d.frontend.AwaitLog(t, live.ID, "stdout: up\n")
	old := slices.Collect(maps.Keys(d.executors(t)))
	ends := d.watch(t)
	// As "kubectl rollout restart" does.
	_, err := c.client.AppsV1().Deployments(c.namespace).Patch(t.Context(), deploymentName, types.MergePatchType,
		[]byte(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"now"}}}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	d.awaitSaid(t, old[0], draining)
	next := d.requireCompleted(t, d.frontend.Submit(t, c.threeSteps("next")).ID, "stdout: next\nstdout: more\n")
	require.NotEqual(t, old[0], podOf(next.Executor))
	gate.open()
	done := d.requireCompleted(t, live.ID, "stdout: up\nstdout: down\n")
	require.Equal(t, old[0], podOf(done.Executor))
	name, code := ends.next(t)
	require.Equal(t, old[0], name)
	require.Zero(t, code)
	d.requireOnlyItsOwn(t)
}

// podOf is an executor's pod: the host name, which a UUID follows in the executor's own.
func podOf(executor string) string {
	return executor[:max(0, len(executor)-len("-00000000-0000-0000-0000-000000000000"))]
}

// requireCompleted awaits a job of one attempt, and its steps' whole output.
func (d *deployment) requireCompleted(t *testing.T, id int64, want string) jobs.Job {
	t.Helper()
	job, log := d.frontend.Await(t, id)
	require.Equal(t, jobs.Completed, job.State, log)
	require.Len(t, job.Attempts, 1)
	require.Equal(t, want, stdoutOf(log), log)
	return job
}

// requireOnlyItsOwn looks for what jobs have left in the namespace, beside the objects of the deployment.
func (d *deployment) requireOnlyItsOwn(t *testing.T) {
	t.Helper()
	options := metav1.ListOptions{}
	harness.Eventually(t, harness.Patience, "nothing but the deployment's own objects is in the namespace", func() bool {
		left, err := d.client.BatchV1().Jobs(d.namespace).List(t.Context(), options)
		require.NoError(t, err)
		pods, err := d.client.CoreV1().Pods(d.namespace).List(t.Context(), options)
		require.NoError(t, err)
		return len(left.Items) == 0 && len(pods.Items) == len(d.executors(t))
	})
	secrets, err := d.client.CoreV1().Secrets(d.namespace).List(t.Context(), options)
	require.NoError(t, err)
	for _, secret := range secrets.Items {
		require.Equal(t, tokenSecret, secret.Name)
	}
	settings, err := d.client.CoreV1().ConfigMaps(d.namespace).List(t.Context(), options)
	require.NoError(t, err)
	for _, found := range settings.Items {
		require.True(t, found.Name == "kube-root-ca.crt" || strings.HasPrefix(found.Name, "executor-settings-"), found.Name)
	}
	claims, err := d.client.CoreV1().PersistentVolumeClaims(d.namespace).List(t.Context(), options)
	require.NoError(t, err)
	require.Empty(t, claims.Items)
}
