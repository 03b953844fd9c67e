package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/runtime/host"
	"github.com/open-executor/executor/internal/vm/channel"
)

// Close implements runtime.Session. What can't be removed, Reap of a later executor goes on trying, and the cluster removes it when its time is over.
func (s *session) Close(ctx context.Context) error {
	switch {
	case s.isTaken():
		s.runtime.forget(s.name)
		s.disconnect()
		return nil
	case s.runtime.options.Keep:
		s.runtime.forget(s.name)
		return s.end(ctx) // else it would be an orphan
	}
	return host.Logged(s.job.Log, removeKey, func(command.Entry) error { return s.remove(ctx) })
}

// remove deletes what was created, and waits until the pod is gone.
func (s *session) remove(ctx context.Context) error {
	// Attached to the last: nobody is to take the pod for an orphan.
	defer s.disconnect()
	err := s.delete(ctx)
	if err != nil {
		s.runtime.mark(s.name, false) // Reap goes on
		return err
	}
	s.runtime.forget(s.name)
	return nil
}

func (s *session) delete(ctx context.Context) error {
	var err error
	if s.created {
		err = s.runtime.deleteJob(ctx, s.name)
	}
	if s.pullSecret != "" {
		err = errors.Join(err, s.runtime.deleteSecret(ctx, s.pullSecret))
	}
	for s.created && err == nil {
		pod, changed := s.runtime.pods.get(s.name)
		if pod == nil {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("pod %s is not gone: %w", pod.Name, context.Cause(ctx))
		}
	}
	return err
}

// endTime bounds the end of a pod whose steps have ended.
const endTime = time.Minute

// end ends the pod and leaves its Job. It goes on where an earlier call was stopped.
func (s *session) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, endTime, fmt.Errorf("it has not ended after %s", endTime))
	defer cancel()
	defer s.disconnect()
	for {
		pod, changed := s.runtime.pods.get(s.name)
		if gone(pod) != nil {
			return nil
		}
		if !s.over {
			if err := s.tellEnd(ctx); err != nil {
				return err
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// tellEnd tells the agent to end.
func (s *session) tellEnd(ctx context.Context) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	call, err := conn.Start(channel.Request{PowerOff: &channel.PowerOff{}}, channel.Streams{})
	if err != nil {
		return err
	}
	s.over = true
	_, _ = call.Wait(ctx) // the answer may not get out any more
	return nil
}
