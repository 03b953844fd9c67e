package kubernetes

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/host"
)

// steps is a job each step of which has a pod of its own. The workspace is on a claim. A pod runs until the next step: it answers for the workspace. Its Job
// stays until the next one is there, so that there is always one that the claim belongs to.
type steps struct {
	runtime *Runtime
	job     runtime.Job
	volume  *claim
	pod     *session
}

func (r *Runtime) openSteps(ctx context.Context, job runtime.Job) (runtime.Session, error) {
	s := &steps{runtime: r, job: job, volume: &claim{runtime: r, job: job, name: objectName(job)}}
	s.pod = s.podFor(job.Steps[:min(1, len(job.Steps))])
	err := s.pod.open(ctx, s.pod.sendWorkspace)
	if err == nil {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	return nil, errors.Join(err, s.volume.remove(ctx))
}

func (s *steps) podFor(of []runtime.Step) *session {
	job := s.job
	job.Steps = of
	return &session{runtime: s.runtime, job: job, name: objectName(job), key: rand.Text(), containers: stepContainers(of), volume: s.volume}
}

// Run implements runtime.Session.
func (s *steps) Run(ctx context.Context, step runtime.Step) error {
	if err := checkImage(step); err != nil {
		return host.Refuse(s.job.Log, step.Key, nil, err)
	}
	if s.pod.free(step) < 0 {
		if err := s.next(ctx, []runtime.Step{step}); err != nil {
			return s.unstarted(ctx, step, err)
		}
	}
	return s.pod.Run(ctx, step)
}

// next makes a pod for steps and removes the one before. That has ended by then: the volume may be one that only one node can have.
func (s *steps) next(ctx context.Context, of []runtime.Step) error {
	if err := s.pod.end(ctx); err != nil {
		return fmt.Errorf("the pod of the step before: %w", err)
	}
	next := s.podFor(of)
	if err := next.open(ctx, func(context.Context) error { return nil }); err != nil {
		return fmt.Errorf("the step's pod: %w", err)
	}
	before := s.pod
	s.pod = next
	return before.Close(ctx)
}

// unstarted says in the step's log why it has no pod.
func (s *steps) unstarted(ctx context.Context, step runtime.Step, err error) error {
	if ctx.Err() == nil {
		return host.Refuse(s.job.Log, step.Key, nil, err)
	}
	entry := s.job.Log.Open(step.Key, nil)
	host.Note(entry, host.StopReason(ctx))
	entry.Close(-1)
	return context.Cause(ctx)
}

// TakeFile implements runtime.Session.
func (s *steps) TakeFile(ctx context.Context, path string, limit int64) ([]byte, error) {
	if err := s.reach(ctx); err != nil {
		return nil, err
	}
	return s.pod.TakeFile(ctx, path, limit)
}

// reach sees to a pod that answers for the workspace: after a step that has got none, it is one without a step.
func (s *steps) reach(ctx context.Context) error {
	if !s.pod.over {
		return nil
	}
	return s.next(ctx, nil)
}

// Close implements runtime.Session.
func (s *steps) Close(ctx context.Context) error {
	err := s.pod.Close(ctx)
	if s.runtime.options.Keep {
		return err
	}
	return errors.Join(err, s.volume.remove(ctx))
}

// claim is a volume that several pods of a job have, one after another.
type claim struct {
	runtime *Runtime
	job     runtime.Job
	name    string
	owners  []metav1.OwnerReference
}

// attach makes the claim end no sooner than a Job, whose pods wait for it. Without a claim it does nothing.
func (c *claim) attach(ctx context.Context, job *batchv1.Job) error {
	if c == nil {
		return nil
	}
	c.owners = append(c.owners, metav1.OwnerReference{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job", Name: job.Name, UID: job.UID})
	claims := c.runtime.client.CoreV1().PersistentVolumeClaims(c.runtime.options.Namespace)
	if len(c.owners) == 1 {
		_, err := claims.Create(ctx, &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: c.name, Labels: c.runtime.labels(c.job, job.Name), OwnerReferences: c.owners},
			Spec:       c.runtime.claimSpec(),
		}, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("claiming the job's volume: %w", err)
		}
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": c.owners}})
	if err != nil {
		return err
	}
	if _, err := claims.Patch(ctx, c.name, mergePatch, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("giving the claim %s to Job %s: %w", c.name, job.Name, err)
	}
	return nil
}

func (c *claim) remove(ctx context.Context) error {
	if len(c.owners) == 0 {
		return nil
	}
	err := c.runtime.client.CoreV1().PersistentVolumeClaims(c.runtime.options.Namespace).Delete(ctx, c.name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting the claim %s: %w", c.name, err)
	}
	return nil
}
