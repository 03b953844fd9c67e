package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/log"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/open-executor/executor/internal/pod"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/agentstep"
	"github.com/open-executor/executor/internal/runtime/host"
	"github.com/open-executor/executor/internal/vm/channel"
)

// An executor that dies leaves pods, whose steps run on and whose agents keep what they write. The next one of its pool to start goes on as that executor: by
// its name it renews the leases of those jobs.

const resumeKey = "setup.kubernetes.resume"

// takeOver looks for pods of an executor that is no more, makes this one its successor, and returns sessions that can be recalled, resumed or discarded. What
// goes wrong is logged: then those pods end by themselves.
func (r *Runtime) takeOver(ctx context.Context) []*session {
	if r.options.Pool == "" {
		return nil
	}
	list, err := r.client.CoreV1().Pods(r.options.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector(labelPool, r.options.Pool)})
	if err != nil {
		r.logger.Warn("pods of executors that are no more could not be looked for", log.Error(err))
		return nil
	}
	byExecutor := map[string][]*corev1.Pod{}
	for i := range list.Items {
		pod := &list.Items[i]
		executor := pod.Annotations[annotationExecutor]
		if gone(pod) == nil && hasAgent(pod) && executor != "" && hashed(executor) == pod.Labels[labelExecutor] {
			byExecutor[executor] = append(byExecutor[executor], pod)
		}
	}
	for _, executor := range r.dead(ctx, byExecutor) {
		if left := r.succeed(ctx, byExecutor[executor]); len(left) > 0 {
			r.logger.Info("going on as an executor that is no more", log.String("executor", executor), log.Int("pods", len(left)))
			r.executor = executor
			return left
		}
	}
	return nil
}

// maxAsked bounds how many pods are asked at once.
const maxAsked = 16

// dead are the executors that are not attached to the first of their pods, sorted.
func (r *Runtime) dead(ctx context.Context, pods map[string][]*corev1.Pod) []string {
	var mu sync.Mutex
	var names []string
	var asking errgroup.Group
	asking.SetLimit(maxAsked)
	for executor, theirs := range pods {
		slices.SortFunc(theirs, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
		asking.Go(func() error {
			if r.couldHave(ctx, theirs[0], executor) {
				mu.Lock()
				defer mu.Unlock()
				names = append(names, executor)
			}
			return nil
		})
	}
	_ = asking.Wait() // no error comes
	slices.Sort(names)
	return names
}

// dyingTime is how long an executor whose pod is gone is waited for: its process may still be about to end.
const dyingTime = 20 * time.Second

// couldHave tells whether an executor's pod is an orphan.
func (r *Runtime) couldHave(ctx context.Context, pod *corev1.Pod, executor string) bool {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	for began := time.Now(); ; {
		conn, _, err := r.claim(ctx, pod.Name, "", r.options.Orphaned)
		if err == nil {
			conn.close()
			return true
		}
		if !errors.Is(err, errHeld) || time.Since(began) > dyingTime || !r.isDying(ctx, executor) {
			r.unclaimed(pod, err)
			return false
		}
	}
}

// isDying tells whether an executor that is attached can't be for long: it is a process of this one's pod before, or its pod is gone. Where executors are no
// pods of the jobs' namespace nothing is known of that.
func (r *Runtime) isDying(ctx context.Context, executor string) bool {
	own, other := podOf(r.executor), podOf(executor)
	return r.isPod(ctx, own) && (own == other || !r.isPod(ctx, other))
}

// podOf is the pod that an executor runs in, if it does: it is called by its host's name and a UUID.
func podOf(executor string) string {
	return executor[:max(0, len(executor)-len("-00000000-0000-0000-0000-000000000000"))]
}

func (r *Runtime) isPod(ctx context.Context, name string) bool {
	found, err := r.client.CoreV1().Pods(r.options.Namespace).List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()})
	return err == nil && len(found.Items) > 0 // an error will come back where it matters
}

// unclaimed logs what is no answer.
func (r *Runtime) unclaimed(pod *corev1.Pod, err error) {
	if !errors.Is(err, errHeld) {
		r.logger.Warn("a pod that may be nobody's could not be claimed", log.String("pod", pod.Name), log.Error(err))
	}
}

// succeed claims the pods of one executor. The first one decides who its successor is.
func (r *Runtime) succeed(ctx context.Context, pods []*corev1.Pod) []*session {
	first := r.inherit(ctx, pods[0])
	if first == nil {
		return nil
	}
	others := make([]*session, len(pods)-1)
	var claiming sync.WaitGroup
	for i, pod := range pods[1:] {
		claiming.Go(func() { others[i] = r.inherit(ctx, pod) })
	}
	claiming.Wait()
	return append([]*session{first}, slices.DeleteFunc(others, func(s *session) bool { return s == nil })...)
}

// surely is how long a pod that was found an orphan must still be one.
const surely = 100 * time.Millisecond

// inherit claims a pod; nil when it is another's or can't be reached.
func (r *Runtime) inherit(ctx context.Context, pod *corev1.Pod) *session {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	conn, sizes, err := r.claim(ctx, pod.Name, r.holder, surely)
	if err != nil {
		r.unclaimed(pod, err)
		return nil
	}
	s := &session{runtime: r, name: pod.Labels[labelObject], created: true, conn: conn, again: sizes}
	r.mark(s.name, true)
	return s
}

// Recall implements runtime.Orphan.
func (s *session) Recall(ctx context.Context, name string) ([]byte, error) {
	ctx, enough := context.WithCancelCause(ctx)
	defer enough(nil)
	content := &agentstep.Taken{Limit: runtime.MaxKept, From: "pod", Exceeded: enough}
	err := s.asking(ctx, func(conn *connection) error {
		content.Reset()
		_, err := conn.Do(ctx, channel.Request{Recall: &channel.Recall{Name: name}}, channel.Streams{Stdout: content})
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return content.Bytes(), err
}

// The agent keeps whatever Keep may be given; else this doesn't compile.
const _ = uint(pod.MaxKept - runtime.MaxKept)

// Keep implements runtime.Keeper.
func (s *session) Keep(ctx context.Context, name string, content []byte) error {
	return s.asking(ctx, func(conn *connection) error {
		_, err := conn.Do(ctx, channel.Request{Keep: &channel.Keep{Name: name}}, channel.Streams{Input: bytes.NewReader(content)})
		return err
	})
}

// Resume implements runtime.Orphan.
func (s *session) Resume(ctx context.Context, job runtime.Job) (runtime.Session, error) {
	entry := job.Log.Open(resumeKey, nil)
	if containers := stepContainers(job.Steps); len(containers) == len(s.again) {
		s.job, s.containers = job, containers
	} else {
		err := fmt.Errorf("the pod has %d containers for %d steps", len(s.again), len(containers))
		host.Note(entry, err.Error())
		entry.Close(1)
		return nil, errors.Join(err, s.Discard(ctx))
	}
	pod, _ := s.runtime.pods.get(s.name)
	if why := gone(pod); why != nil {
		host.Note(entry, fmt.Sprintf("The executor that ran this job is no more, and neither is the job's pod: %s.", why))
		entry.Close(1)
		return nil, errors.Join(why, s.Discard(ctx))
	}
	if len(job.DockerAuth.Auths) > 0 {
		s.pullSecret = s.name
	}
	host.Note(entry, fmt.Sprintf("The executor that ran this job is no more; its successor goes on with pod %s on node %s.", pod.Name, pod.Spec.NodeName))
	entry.Close(0)
	return s, nil
}

// Discard implements runtime.Orphan.
func (s *session) Discard(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	return s.remove(ctx)
}
