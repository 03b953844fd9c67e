package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/host"
	"github.com/open-executor/executor/internal/vm/channel"
)

var errStartTime = errors.New("the pod did not start in time")

const (
	// eventsAfter is how long a Job may be without a pod before its events are asked why.
	eventsAfter = 3 * time.Second
	// reattachPause and reattachTime bound the tries to reach an agent whose pod lives: the API server may be restarting.
	reattachPause = 100 * time.Millisecond
	reattachTime  = 5 * time.Minute
)

// awaitAgent waits until the pod's agent runs or is about to, and tells in the log what keeps it.
func (s *session) awaitAgent(ctx context.Context, entry command.Entry) (podName, node string, err error) {
	told := ""
	tell := func(sentence string) {
		if sentence != told && sentence != "" {
			told = sentence
			host.Note(entry, sentence)
		}
	}
	ticker := time.NewTicker(eventsAfter)
	defer ticker.Stop()
	seen := false
	for {
		pod, changed := s.runtime.pods.get(s.name)
		if pod != nil {
			seen = true
			if why := gone(pod); why != nil {
				return "", "", why
			}
			if hasAgent(pod) {
				return pod.Name, pod.Spec.NodeName, nil
			}
			sentence, fatal := s.keeps(pod)
			if fatal != nil {
				return "", "", fatal
			}
			tell(sentence)
		} else if seen {
			return "", "", gone(nil)
		}
		select {
		case <-changed:
		case <-ticker.C:
			if pod == nil {
				tell(s.events(ctx))
			}
		case <-ctx.Done():
			if !errors.Is(context.Cause(ctx), errStartTime) {
				return "", "", context.Cause(ctx)
			}
			err := fmt.Errorf("%w (%s)", errStartTime, s.runtime.options.StartTime)
			if told != "" {
				err = fmt.Errorf("%w: %s", err, host.OneLine(told))
			}
			return "", "", err
		}
	}
}

// hasAgent tells whether a pod's agent runs or is about to: its container is the next after that of the set-up. The kubelet tells of it a second later, and
// attaching finds out sooner.
func hasAgent(pod *corev1.Pod) bool {
	status := statusOf(pod, setupContainer)
	return status != nil && status.State.Terminated != nil && status.State.Terminated.ExitCode == 0
}

// keeps is what keeps a pod's agent from running: a sentence for the log, or an error where waiting is of no use.
func (s *session) keeps(pod *corev1.Pod) (string, error) {
	if why := unscheduled(pod); why != "" {
		return fmt.Sprintf("The pod has no node yet: %s.", why), nil
	}
	for _, name := range []string{setupContainer, agentContainer} {
		status := statusOf(pod, name)
		switch kind, why := waits(status); kind {
		case "image":
			return fmt.Sprintf("The helper image %s is not there yet: %s (KUBERNETES_SINGLE_JOB_STEP_IMAGE).", s.runtime.options.HelperImage, why), nil
		case "container":
			return fmt.Sprintf("Container %s does not start: %s.", name, why), nil
		}
		if status != nil && status.State.Terminated != nil && status.State.Terminated.ExitCode != 0 {
			t := status.State.Terminated
			return "", fault.Operatorf("container %s of image %s ended with exit code %d: %s %s: is podagent in that image? (KUBERNETES_SINGLE_JOB_STEP_IMAGE)",
				name, s.runtime.options.HelperImage, t.ExitCode, t.Reason, host.OneLine(t.Message))
		}
	}
	return "", nil
}

// events is the last warning of the Job: why it has no pod, a quota for example. Empty when there is none.
func (s *session) events(ctx context.Context) string {
	list, err := s.runtime.client.CoreV1().Events(s.runtime.options.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: fields.Set{"involvedObject.kind": "Job", "involvedObject.name": s.name, "type": corev1.EventTypeWarning}.String(),
	})
	if err != nil || len(list.Items) == 0 {
		return "" // it is only an explanation
	}
	last := list.Items[0]
	for _, event := range list.Items[1:] {
		if last.LastTimestamp.Before(&event.LastTimestamp) {
			last = event
		}
	}
	return fmt.Sprintf("The Job has no pod yet: %s.", host.OneLine(last.Message))
}

// connect returns the connection to the agent, a new one when the last has ended, for as long as the pod lives.
func (s *session) connect(ctx context.Context) (*connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		select {
		case <-s.conn.Done():
			s.conn.close()
			s.conn = nil
		default:
			return s.conn, nil
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, reattachTime, fmt.Errorf("the pod's agent was out of reach for %s", reattachTime))
	defer cancel()
	var last error
	for {
		pod, _ := s.runtime.pods.get(s.name)
		if why := gone(pod); why != nil {
			return nil, why
		}
		if why := agentEnded(pod); why != nil {
			return nil, why
		}
		conn, _, err := s.runtime.claim(ctx, pod.Name, s.runtime.holder, 0)
		switch {
		case err == nil:
			s.conn = conn
			return conn, nil
		case errors.Is(err, errHeld):
			s.taken = true
			return nil, fmt.Errorf("%w: %w", errHeld, runtime.ErrLeaseLost)
		case ctx.Err() == nil || last == nil:
			last = err // the one that time has cut off says nothing
		}
		select {
		case <-time.After(reattachPause):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), last)
		}
	}
}

func (s *session) isTaken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

func (s *session) disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.conn.close()
		s.conn = nil
	}
}

// asking makes a request that may be made again, until it has an answer of the agent.
func (s *session) asking(ctx context.Context, ask func(*connection) error) error {
	for {
		conn, err := s.connect(ctx)
		if err != nil {
			return err
		}
		err = ask(conn)
		var answer *channel.Error
		if err == nil || errors.As(err, &answer) || ctx.Err() != nil {
			return err
		}
		select {
		case <-conn.Done():
		default:
			return err // it isn't the connection's fault
		}
	}
}
