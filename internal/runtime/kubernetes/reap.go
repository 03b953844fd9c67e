package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// waitedFor is for how long beyond StartTime a pod must have waited for its start until it counts as nobody's.
const waitedFor = 5 * time.Minute

// Reap implements runtime.Runtime: it removes what sessions could not, and pods of this pool that have not started though their executors must have given
// them up by now. Pods that have started end by themselves when nobody attaches to them any more, and the cluster removes their Jobs
// (ttlSecondsAfterFinished).
func (r *Runtime) Reap(ctx context.Context) (int, error) {
	left, err := r.neverStarted(ctx)
	removed := 0
	for _, name := range append(left, r.leftovers()...) {
		// A Secret without a Job is nobody else's to remove.
		if failed := errors.Join(r.deleteJob(ctx, name), r.deleteSecret(ctx, name)); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		r.forget(name)
		removed++
	}
	return removed, err
}

// neverStarted are the Jobs of pods that have waited too long.
func (r *Runtime) neverStarted(ctx context.Context) ([]string, error) {
	if r.options.Pool == "" {
		return nil, nil
	}
	waiting, err := r.client.CoreV1().Pods(r.options.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: selector(labelPool, r.options.Pool), FieldSelector: fields.OneTermEqualSelector("status.phase", string(corev1.PodPending)).String(),
	})
	if err != nil {
		return nil, fmt.Errorf("listing the pods that wait: %w", err)
	}
	var names []string
	for _, pod := range waiting.Items {
		if !hasAgent(&pod) && !r.isOpen(pod.Labels[labelObject]) && time.Since(pod.CreationTimestamp.Time) > r.options.StartTime+waitedFor {
			names = append(names, pod.Labels[labelObject])
		}
	}
	return names, nil
}

// leftovers are what closed sessions have left.
func (r *Runtime) leftovers() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for name, open := range r.ours {
		if !open {
			names = append(names, name)
		}
	}
	return names
}

func (r *Runtime) isOpen(object string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ours[object]
}

// mark says that a Job may be there, and whether its session is open.
func (r *Runtime) mark(object string, open bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ours[object] = open
}

func (r *Runtime) forget(object string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.ours, object)
}
