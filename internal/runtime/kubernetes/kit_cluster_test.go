//go:build cluster

package kubernetes

import (
	"context"
	"os"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sourcegraph/log"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/runtimetest"
)

// Tests in files with the build tag cluster need one (dev/cluster), and the images that dev/test puts there.

const (
	testGrace  = time.Second
	testMemory = "64Mi"
)

func environment(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	require.NotEmpty(t, value, "%s is not set: run these tests as dev/test does", name)
	return value
}

// site is a namespace whose pods are held to the Pod Security Standard "restricted".
type site struct {
	config    *rest.Config
	client    kubernetes.Interface
	namespace string
	image     string
}

func newSite(t testing.TB) *site {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", environment(t, "KUBECONFIG"))
	require.NoError(t, err)
	config.QPS, config.Burst = 200, 400
	web, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(web.Transport) })
	client, err := kubernetes.NewForConfigAndClient(config, web)
	require.NoError(t, err)
	s := &site{config: config, client: client, namespace: "test-" + uuid.NewString()[:8], image: environment(t, "EXECUTOR_TEST_IMAGE")}
	_, err = client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: s.namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, client.CoreV1().Namespaces().Delete(context.Background(), s.namespace, metav1.DeleteOptions{}))
	})
	return s
}

// executor is one with its runtime.
type executor struct {
	*site
	name    string
	dir     string
	runtime *Runtime
}

func (s *site) executor(t testing.TB, adjust func(*Options)) *executor {
	t.Helper()
	e := &executor{site: s, name: "host-" + uuid.NewString(), dir: t.TempDir()}
	options := Options{
		Namespace: s.namespace, HelperImage: environment(t, "EXECUTOR_TEST_HELPER_IMAGE"), Grace: testGrace, FSGroup: new(int64(1000)),
		VolumeSize: resource.MustParse("100Mi"), ImagePatience: 2 * time.Second,
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(testMemory)}},
	}
	if adjust != nil {
		adjust(&options)
	}
	var err error
	e.runtime, err = New(t.Context(), log.NoOp(), s.config, e.name, options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.runtime.Close()) })
	return e
}

// leftovers are the objects that the executor has in the namespace.
func (e *executor) leftovers(ctx context.Context) ([]string, error) {
	selector := metav1.ListOptions{LabelSelector: labelExecutor + "=" + hashed(e.name)}
	var left []string
	jobs, err := e.client.BatchV1().Jobs(e.namespace).List(ctx, selector)
	if err != nil {
		return nil, err
	}
	for _, object := range jobs.Items {
		left = append(left, "job "+object.Name)
	}
	pods, err := e.client.CoreV1().Pods(e.namespace).List(ctx, selector)
	if err != nil {
		return nil, err
	}
	for _, object := range pods.Items {
		left = append(left, "pod "+object.Name)
	}
	secrets, err := e.client.CoreV1().Secrets(e.namespace).List(ctx, selector)
	if err != nil {
		return nil, err
	}
	for _, object := range secrets.Items {
		left = append(left, "secret "+object.Name)
	}
	claims, err := e.client.CoreV1().PersistentVolumeClaims(e.namespace).List(ctx, selector)
	if err != nil {
		return nil, err
	}
	for _, object := range claims.Items {
		if object.DeletionTimestamp != nil {
			continue // the cluster waits until it has seen that no pod has it
		}
		left = append(left, "claim "+object.Name)
	}
	sort.Strings(left)
	return left, nil
}

func put(ctx context.Context, opened runtime.Session, name string, content []byte) error {
	if s, several := opened.(*steps); several {
		if err := s.reach(ctx); err != nil {
			return err
		}
		opened = s.pod
	}
	return opened.(*session).write(ctx, name, 0o755, content)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	conform(t, nil, (*executor).leftovers)
}

func TestConformanceOfAPodPerStep(t *testing.T) {
	t.Parallel()
	conform(t, func(o *Options) { o.PodPerStep = true }, (*executor).kindsLeft)
}

// kindsLeft are leftovers without their names, which change from step to step.
func (e *executor) kindsLeft(ctx context.Context) ([]string, error) {
	left, err := e.leftovers(ctx)
	for i, name := range left {
		left[i], _, _ = strings.Cut(name, " ")
	}
	return left, err
}

func conform(t *testing.T, adjust func(*Options), leftovers func(*executor, context.Context) ([]string, error)) {
	s := newSite(t)
	runtimetest.Run(t, func(t *testing.T) runtimetest.Harness {
		e := s.executor(t, adjust)
		return runtimetest.Harness{
			Runtime: e.runtime, Executor: e.name, Workspaces: e.dir, Image: s.image, Grace: testGrace, MemoryLimit: testMemory, Put: put,
			Leftovers: func(ctx context.Context) ([]string, error) { return leftovers(e, ctx) },
		}
	})
}
