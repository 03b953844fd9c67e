//go:build e2e && cluster

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/open-executor/executor/e2e/harness"
)

// An executor that is a pod goes while its job runs: its process is killed, and the kubelet starts it again; or its pod is deleted by force, and the Deployment
// makes another one. Either way the job goes on, in one attempt and with all of its log.
func TestPodsOfAnExecutorThatGoes(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	d := c.deploy(t, 2, harness.StartFrontendAt(t, c.host))
	// In this order: a successor in another pod has the name of the one before it, which tells nothing of its own pod.
	for _, way := range []string{"killed", "deleted"} {
		gate := newPodGate(t, c)
		id := d.frontend.Submit(t, fmt.Sprintf("steps:\n  - {key: long, image: %q, run: %q}\n  - {key: last, image: %q, run: cat once}\n",
			c.images[0], "! test -e once || exit 9; echo "+way+" > once; echo up; "+gate.wait+"; echo down", c.images[1])).ID
		d.frontend.AwaitLog(t, id, "stdout: up\n")
		job, err := d.frontend.Client.Job(harness.Context(t), id)
		require.NoError(t, err)
		pod := podOf(job.Executor)
		switch way {
		case "killed":
			d.kill(t, pod)
			d.frontend.AwaitLog(t, id, "its successor goes on with pod ")
			d.requireNoWorkspaces(t, pod)
		case "deleted":
			d.deleteByForce(t, pod)
		}
		d.awaitReady(t, 2)
		gate.open()
		d.requireCompleted(t, id, "stdout: up\nstdout: down\nstdout: "+way+"\n")
	}
	d.requireOnlyItsOwn(t)
}

// kill kills the process of an executor's pod, as the kernel does for want of memory.
func (d *deployment) kill(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, syscall.Kill(d.process(t, name), syscall.SIGKILL))
}

// process is the executor's process in its pod.
func (d *deployment) process(t *testing.T, name string) int {
	t.Helper()
	pod, err := d.client.CoreV1().Pods(d.namespace).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	// The nodes of dev/cluster are on this machine; the kubelet names cgroups by the pods' UIDs.
	uid := strings.ReplaceAll(string(pod.UID), "-", "_")
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	require.NoError(t, err)
	var found []int
	for _, group := range groups {
		content, err := os.ReadFile(group)
		if err != nil || !strings.Contains(strings.ReplaceAll(string(content), "-", "_"), uid) {
			continue // the process may have ended
		}
		program, err := os.Readlink(filepath.Join(filepath.Dir(group), "exe"))
		if err != nil || filepath.Base(program) != "executor" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(group)))
		require.NoError(t, err)
		found = append(found, pid)
	}
	require.Len(t, found, 1, "executors in pod %s", name)
	return found[0]
}

// requireNoWorkspaces looks into an executor's pod. Those that a killed process left are removed soon after the next one has started.
func (d *deployment) requireNoWorkspaces(t *testing.T, name string) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/root/var/lib/executor/workspaces", d.process(t, name))
	require.DirExists(t, dir)
	harness.Eventually(t, harness.Patience, "no workspace is left in "+name, func() bool {
		left, err := filepath.Glob(filepath.Join(dir, "workspace-*"))
		require.NoError(t, err)
		return len(left) == 0
	})
}

func (d *deployment) deleteByForce(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, d.client.CoreV1().Pods(d.namespace).Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}))
}
