//go:build cluster

package kubernetes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/runtime"
)

// work is what each step does: it prints when it began, takes half a second, and prints when it ended: seconds since the machine's start, in hundredths.
// All containers of a node have the same.
const work = "cat /proc/uptime; sleep 0.5; cat /proc/uptime"

// span is from when to when a step ran.
type span struct{ began, ended time.Duration }

func spanOf(t testing.TB, text string) span {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(text, "stdout: ", "")), "\n")
	require.Len(t, lines, 2, text)
	return span{uptime(t, lines[0]), uptime(t, lines[1])}
}

func uptime(t testing.TB, text string) time.Duration {
	t.Helper()
	seconds, err := strconv.ParseFloat(strings.Fields(text)[0], 64)
	require.NoError(t, err)
	return time.Duration(seconds * float64(time.Second))
}

func now(t testing.TB) time.Duration {
	t.Helper()
	text, err := os.ReadFile("/proc/uptime")
	require.NoError(t, err)
	return uptime(t, string(text))
}

// BenchmarkSteps measures what three steps of a job wait for: the first one's first byte, and the gap between one and the next. In turn, the same three
// containers as plain init containers (dev/bench kubernetes).
func BenchmarkSteps(b *testing.B) {
	s := newSite(b)
	e := s.executor(b, nil)
	measured := map[string][]time.Duration{}
	add := func(name string, steps []span, created time.Duration) {
		measured[name+"-start"] = append(measured[name+"-start"], steps[0].began-created)
		for i := range steps[1:] {
			measured[name+"-gap"] = append(measured[name+"-gap"], steps[i+1].began-steps[i].ended)
		}
	}
	for b.Loop() {
		created := now(b)
		add("job", e.steps(b), created)
		created = now(b)
		add("plain", s.plain(b), created)
	}
	b.ReportMetric(0, "ns/op")
	median := func(name string) float64 {
		all := slices.Sorted(slices.Values(measured[name]))
		return float64(all[len(all)/2].Milliseconds())
	}
	for name := range measured {
		b.ReportMetric(median(name), "ms:"+name)
	}
	b.ReportMetric(median("job-start")/median("plain-start"), "start/plain")
}

// steps runs a job of three steps, and returns when each ran.
func (e *executor) steps(b *testing.B) []span {
	b.Helper()
	workspace := b.TempDir()
	require.NoError(b, os.Mkdir(filepath.Join(workspace, runtime.ScriptsDir), 0o755))
	require.NoError(b, os.WriteFile(filepath.Join(workspace, runtime.ScriptsDir, "s.sh"), []byte(work+"\n"), 0o755))
	log := commandtest.NewLog()
	job := runtime.Job{ID: 1, Queue: "bench", Executor: e.name, WorkspaceDir: workspace, Log: log}
	for i := range 3 {
		job.Steps = append(job.Steps, runtime.Step{Key: fmt.Sprint(stepPrefix, i), Image: e.image, Script: "s.sh", Dir: "."})
	}
	session, err := e.runtime.Open(b.Context(), job)
	require.NoError(b, err)
	var times []span
	for _, step := range job.Steps {
		require.NoError(b, session.Run(b.Context(), step))
		times = append(times, spanOf(b, log.Entry(b, step.Key).Out))
	}
	require.NoError(b, session.Close(context.Background()))
	return times
}

// plain runs the same as two init containers and one more.
func (s *site) plain(b *testing.B) []span {
	b.Helper()
	container := func(name string) corev1.Container {
		return corev1.Container{
			Name: name, Image: s.image, ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"/bin/sh", "-c", work},
			SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
		}
	}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "plain-" + uuid.NewString()[:8]}, Spec: batchv1.JobSpec{
		BackoffLimit: new(int32(0)),
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(defaultUser)), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			InitContainers: []corev1.Container{container("one"), container("two")},
			Containers:     []corev1.Container{container("three")},
		}},
	}}
	_, err := s.client.BatchV1().Jobs(s.namespace).Create(b.Context(), job, metav1.CreateOptions{})
	require.NoError(b, err)
	var pod corev1.Pod
	require.Eventually(b, func() bool {
		pods, err := s.client.CoreV1().Pods(s.namespace).List(b.Context(), metav1.ListOptions{LabelSelector: "job-name=" + job.Name})
		require.NoError(b, err)
		if len(pods.Items) == 0 {
			return false
		}
		pod = pods.Items[0]
		require.NotEqual(b, corev1.PodFailed, pod.Status.Phase)
		return pod.Status.Phase == corev1.PodSucceeded
	}, time.Minute, 50*time.Millisecond)
	var times []span
	for _, name := range []string{"one", "two", "three"} {
		text, err := s.client.CoreV1().Pods(s.namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: name}).DoRaw(b.Context())
		require.NoError(b, err)
		times = append(times, spanOf(b, string(text)))
	}
	require.NoError(b, s.client.BatchV1().Jobs(s.namespace).Delete(b.Context(), job.Name, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationForeground)}))
	return times
}
