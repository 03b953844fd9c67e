//go:build e2e && cluster

package e2e

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/open-executor/executor/e2e/harness"
)

// cluster is a namespace held to the Pod Security Standard "restricted", on a cluster that dev/test has started (dev/lib/pods.sh).
type cluster struct {
	client kubernetes.Interface
	// objects is a client for objects of any kind.
	objects   dynamic.Interface
	namespace string
	// host is this machine's address for pods.
	host string
	// env is for executors that are no pods.
	env []string
	// images are two.
	images [2]string
	// executorImage is that of executors that are pods, and may begin the pods of jobs.
	executorImage string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	value := func(name string) string {
		require.NotEmpty(t, os.Getenv(name), "%s is not set: run these tests as dev/test does", name)
		return os.Getenv(name)
	}
	config, err := clientcmd.BuildConfigFromFlags("", value("KUBECONFIG"))
	require.NoError(t, err)
	web, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	t.Cleanup(web.CloseIdleConnections)
	client, err := kubernetes.NewForConfigAndClient(config, web)
	require.NoError(t, err)
	objects, err := dynamic.NewForConfigAndClient(config, web)
	require.NoError(t, err)
	c := &cluster{
		client: client, objects: objects, namespace: "e2e-" + uuid.NewString()[:8], host: value("EXECUTOR_TEST_CLUSTER_HOST"),
		images: [2]string{value("EXECUTOR_TEST_IMAGE"), value("EXECUTOR_TEST_OTHER_IMAGE")}, executorImage: value("EXECUTOR_TEST_EXECUTOR_IMAGE"),
	}
	_, err = client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: c.namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, client.CoreV1().Namespaces().Delete(context.Background(), c.namespace, metav1.DeleteOptions{}))
	})
	c.env = []string{
		"EXECUTOR_KUBERNETES_CONFIG_PATH=" + value("KUBECONFIG"), "EXECUTOR_KUBERNETES_NAMESPACE=" + c.namespace,
		"KUBERNETES_SINGLE_JOB_STEP_IMAGE=" + value("EXECUTOR_TEST_HELPER_IMAGE"), "EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY=64Mi",
		"EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY=16Mi", "KUBERNETES_JOB_VOLUME_SIZE=64Mi", "EXECUTOR_MAXIMUM_NUM_JOBS=3",
	}
	return c
}

// threeSteps is a job over both images, whose steps pass a file on.
func (c *cluster) threeSteps(name string) string {
	return fmt.Sprintf(`steps:
  - {key: write, image: %q, run: "echo %s > file; ! test -e /other"}
  - {key: add, image: %q, run: "test -e /other; echo more >> file"}
  - {key: read, image: %q, run: "cat file"}
`, c.images[0], name, c.images[1], c.images[0])
}

func (c *cluster) requireNothingLeft(t *testing.T) {
	t.Helper()
	harness.Eventually(t, time.Minute, "the namespace is empty", func() bool {
		jobs, err := c.client.BatchV1().Jobs(c.namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		pods, err := c.client.CoreV1().Pods(c.namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		return len(jobs.Items)+len(pods.Items) == 0
	})
}

// jobCount is how many jobs executors share: EXECUTOR_TEST_JOBS, or 9.
func jobCount(t *testing.T) int {
	t.Helper()
	text := os.Getenv("EXECUTOR_TEST_JOBS")
	if text == "" {
		return 9
	}
	count, err := strconv.Atoi(text)
	require.NoError(t, err)
	return count
}

// Three executors share a queue.
func TestThreeExecutorsRunJobsInPods(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	frontend := harness.StartFrontend(t)
	var executors []*harness.Executor
	for range 3 {
		executors = append(executors, harness.StartExecutor(t, frontend.URL, t.TempDir(), "kubernetes", c.env...))
	}
	live := frontend.Submit(t, fmt.Sprintf("steps:\n  - {key: live, image: %q, run: \"echo up; while ! test -e /tmp/never; do sleep 1; done\"}\n", c.images[0]))
	var ids []int64
	for i := range jobCount(t) {
		ids = append(ids, frontend.Submit(t, c.threeSteps(fmt.Sprintf("job-%d", i))).ID)
	}
	// Its log is there while it runs.
	frontend.AwaitLog(t, live.ID, "stdout: up\n")
	for i, id := range ids {
		job, log := frontend.Await(t, id)
		require.EqualValues(t, "completed", job.State, log)
		require.Equal(t, 1, strings.Count(log, fmt.Sprintf("stdout: job-%d\nstdout: more\n", i)), log)
	}
	for _, executor := range executors {
		executor.Signal(syscall.SIGTERM)
		executor.AwaitOutput("draining: ")
		executor.Signal(syscall.SIGTERM) // the one that never ends doesn't hold it up
	}
	for _, executor := range executors {
		executor.Wait(harness.Patience)
	}
	c.requireNothingLeft(t)
}
