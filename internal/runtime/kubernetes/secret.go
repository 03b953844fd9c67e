package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/open-executor/executor/internal/api"
)

// createPullSecret makes the Secret by which the kubelet pulls images with the job's credentials. It comes before the Job: a pull without them would fail.
func (r *Runtime) createPullSecret(ctx context.Context, s *session, auth api.DockerAuthConfig) error {
	config, err := json.Marshal(auth)
	if err != nil {
		return err
	}
	s.pullSecret = s.name // also on error: the answer may have been lost
	_, err = r.client.CoreV1().Secrets(r.options.Namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: s.name, Labels: r.labels(s.job, s.name)},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: config},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating the Secret with the job's registry credentials: %w", err)
	}
	return nil
}

// adopt makes the Secret end with the Job.
func (r *Runtime) adopt(ctx context.Context, s *session, job *batchv1.Job) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": []metav1.OwnerReference{
		*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job")),
	}}})
	if err != nil {
		return err
	}
	_, err = r.client.CoreV1().Secrets(r.options.Namespace).Patch(ctx, s.pullSecret, mergePatch, patch, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("giving the Secret %s to its Job: %w", s.pullSecret, err)
	}
	return nil
}

func (r *Runtime) deleteSecret(ctx context.Context, name string) error {
	err := r.client.CoreV1().Secrets(r.options.Namespace).Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting Secret %s: %w", name, err)
	}
	return nil
}
