//go:build cluster

package kubernetes

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
)

// job is one of a single step with that script.
func (e *executor) job(t testing.TB, log *commandtest.Log, script string) runtime.Job {
	t.Helper()
	workspace := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(workspace, runtime.ScriptsDir), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(workspace, runtime.ScriptsDir, "s.sh"), []byte(script), 0o755))
	return runtime.Job{
		ID: 1, Queue: "default", Attempt: 1, Executor: e.name, WorkspaceDir: workspace, Log: log,
		Steps: []runtime.Step{{Key: stepPrefix + "0", Image: e.image, Script: "s.sh", Dir: "."}},
	}
}

// run opens the job, runs its step, and closes it; meanwhile happens once the step has said "up".
func (e *executor) run(t testing.TB, log *commandtest.Log, job runtime.Job, meanwhile func(pod string)) error {
	t.Helper()
	opened, err := e.runtime.Open(t.Context(), job)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- opened.Run(t.Context(), job.Steps[0]) }()
	log.Await(t, job.Steps[0].Key, "up")
	pod, _ := e.runtime.pods.get(opened.(*session).name)
	meanwhile(pod.Name)
	err = <-ended
	require.NoError(t, opened.Close(context.Background()))
	e.requireNothingLeft(t)
	return err
}

func (e *executor) requireNothingLeft(t testing.TB) {
	t.Helper()
	left, err := e.leftovers(context.Background())
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestPodsThatAreTakenAway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, c := range map[string]struct {
		take func(t *testing.T, pod string)
		want string
	}{
		"deleted": {func(t *testing.T, pod string) {
			require.NoError(t, s.client.CoreV1().Pods(s.namespace).Delete(t.Context(), pod, metav1.DeleteOptions{}))
		}, "its pod was deleted"},
		"evicted": {func(t *testing.T, pod string) {
			require.NoError(t, s.client.PolicyV1().Evictions(s.namespace).Evict(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod, Namespace: s.namespace}}))
		}, "its pod was evicted from node "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, log := s.executor(t, nil), commandtest.NewLog()
			err := e.run(t, log, e.job(t, log, "echo up; sleep 1000"), func(pod string) { c.take(t, pod) })
			require.ErrorContains(t, err, "the step was lost: "+c.want)
			require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
			require.Contains(t, log.Entry(t, stepPrefix+"0").Out, "The step was lost: "+c.want)
		})
	}
}

// counting says "up" and then numbers, so that a hole would show.
const counting = "echo up; i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; sleep 0.05; done"

func requireWhole(t testing.TB, log *commandtest.Log) {
	t.Helper()
	var want strings.Builder
	want.WriteString("stdout: up\n")
	for i := range 300 {
		fmt.Fprintf(&want, "stdout: line %d\n", i+1)
	}
	require.Equal(t, want.String(), log.Entry(t, stepPrefix+"0").Out)
}

// Whatever cuts connections, also in the middle of a frame, no byte of the log is lost and no step runs twice.
func TestConnectionsThatBreak(t *testing.T) {
	t.Parallel()
	e, front := newSite(t).behindFront(t, nil)
	log := commandtest.NewLog()
	stop := make(chan struct{})
	cutting := make(chan int)
	go func() {
		cuts := 0
		for ticker := time.NewTicker(2 * time.Second); ; cuts++ {
			select {
			case <-ticker.C:
				front.cut()
			case <-stop:
				ticker.Stop()
				cutting <- cuts
				return
			}
		}
	}()
	require.NoError(t, e.run(t, log, e.job(t, log, counting), func(string) {}))
	close(stop)
	require.Greater(t, <-cutting, 3)
	requireWhole(t, log)
}

// It runs alone: others ask the API server beside the runtime.
func TestTheAPIServerRestarts(t *testing.T) {
	e, log := newSite(t).executor(t, nil), commandtest.NewLog()
	require.NoError(t, e.run(t, log, e.job(t, log, counting), func(string) {
		restart := exec.CommandContext(t.Context(), "../../../dev/cluster", "restart", "apiserver")
		said, err := restart.CombinedOutput()
		require.NoError(t, err, string(said))
	}))
	requireWhole(t, log)
}

func TestPodsThatDoNotStart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, err := s.client.CoreV1().ResourceQuotas(s.namespace).Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"limits.memory": resource.MustParse("2Gi")}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		adjust func(*Options)
		want   string
	}{
		"unschedulable": {func(o *Options) { o.NodeSelector = map[string]string{"disk": "none"} }, "didn't match Pod's node affinity/selector"},
		"quota": {func(o *Options) {
			o.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("3Gi")}
		}, "exceeded quota: small"},
		"helper image": {func(o *Options) { o.HelperImage = "127.0.0.1:1/helper:1" }, "The helper image 127.0.0.1:1/helper:1 is not there yet"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, log := s.executor(t, func(o *Options) {
				o.StartTime = 15 * time.Second
				c.adjust(o)
			}), commandtest.NewLog()
			_, err := e.runtime.Open(t.Context(), e.job(t, log, ""))
			require.ErrorIs(t, err, errStartTime)
			require.ErrorContains(t, err, c.want)
			require.Contains(t, log.Entry(t, startKey).Out, c.want)
			log.RequireClosed(t)
			e.requireNothingLeft(t)
		})
	}
}

// Pods whose executor is gone end by themselves.
func TestAbandonedPodsEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e, log := s.executor(t, func(o *Options) { o.Unattended = time.Second }), commandtest.NewLog()
	job := e.job(t, log, "echo up; sleep 1000")
	opened, err := e.runtime.Open(t.Context(), job)
	require.NoError(t, err)
	left := opened.(*session)
	left.disconnect()
	require.Eventually(t, func() bool {
		found, err := s.client.BatchV1().Jobs(s.namespace).Get(t.Context(), left.name, metav1.GetOptions{})
		require.NoError(t, err)
		return found.Status.Failed == 1
	}, time.Minute, 100*time.Millisecond)
	require.ErrorContains(t, opened.Run(t.Context(), job.Steps[0]), "the step was lost: its pod ended: ")
	require.NoError(t, opened.Close(context.Background()))
	e.requireNothingLeft(t)
}

// The kubelet looks at volumes once a minute.
func TestFullVolume(t *testing.T) {
	t.Parallel()
	e, log := newSite(t).executor(t, func(o *Options) { o.VolumeSize = resource.MustParse("1Mi") }), commandtest.NewLog()
	err := e.run(t, log, e.job(t, log, "head -c 20000000 /dev/zero > big; echo up; sleep 1000"), func(string) {})
	require.Equal(t, fault.User, fault.ClassOf(err), "%v", err)
	require.Contains(t, log.Entry(t, stepPrefix+"0").Out, `Usage of EmptyDir volume "job" exceeds the limit "1Mi"`)
}
