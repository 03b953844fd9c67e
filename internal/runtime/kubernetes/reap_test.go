package kubernetes

import (
	"testing"
	"time"

	"github.com/sourcegraph/log"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// Pods that nobody waits for any more are removed, whoever made them; those of others' pools, and those that may still start, are left alone.
func TestReapRemovesWhatNeverStarted(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	setUp := []corev1.ContainerStatus{{Name: setupContainer, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}}
	for name, c := range map[string]struct {
		age  time.Duration
		pool string
		init []corev1.ContainerStatus
	}{
		"old":      {16 * time.Minute, "pool", nil},
		"own":      {16 * time.Minute, "pool", nil},
		"young":    {14 * time.Minute, "pool", nil},
		"stranger": {16 * time.Minute, "other", nil},
		"started":  {16 * time.Minute, "pool", setUp}, // a step's image is missing
	} {
		meta := metav1.ObjectMeta{Name: name, Labels: map[string]string{labelManagedBy: managedBy, labelPool: hashed(c.pool), labelObject: name}}
		_, err := client.BatchV1().Jobs("jobs").Create(t.Context(), &batchv1.Job{ObjectMeta: meta}, metav1.CreateOptions{})
		require.NoError(t, err)
		meta.CreationTimestamp = metav1.NewTime(time.Now().Add(-c.age))
		_, err = client.CoreV1().Pods("jobs").Create(t.Context(), &corev1.Pod{
			ObjectMeta: meta, Status: corev1.PodStatus{Phase: corev1.PodPending, InitContainerStatuses: c.init},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	r := &Runtime{
		logger: log.NoOp(), client: client, ours: map[string]bool{"own": true, "left": false},
		options: Options{Namespace: "jobs", Pool: "pool", StartTime: 10 * time.Minute},
	}
	removed, err := r.Reap(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, removed)
	left, err := client.BatchV1().Jobs("jobs").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	var names []string
	for _, job := range left.Items {
		names = append(names, job.Name)
	}
	require.ElementsMatch(t, []string{"own", "young", "stranger", "started"}, names)
	require.Equal(t, map[string]bool{"own": true}, r.ours)
}
