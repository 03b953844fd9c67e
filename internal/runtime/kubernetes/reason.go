package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/runtime/agentstep"
	"github.com/open-executor/executor/internal/runtime/host"
	"github.com/open-executor/executor/internal/vm/channel"
)

// conclude turns how a step ended into the entry's exit code and Run's error.
func (s *session) conclude(ctx context.Context, entry command.Entry, t task, result channel.Result, err error) (int, error) {
	var answer *channel.Error
	said := errors.As(err, &answer)
	switch {
	case said && answer.Reason == channel.ReasonStart:
		return agentstep.NotStarted(entry, t.step.Image, answer, "not found", "no such file")
	case said && answer.Reason == channel.ReasonUser:
		host.Note(entry, fmt.Sprintf("The step did not start: %s.", host.OneLine(err.Error())))
		return -1, err
	case said:
		// The container's first process is gone: all of it was killed together.
		ended, why := s.terminated(ctx, t)
		if ended == nil {
			return -1, s.lost(ctx, entry, cmp.Or(why, err))
		}
		return s.killed(entry, t, ended)
	case err == nil && !agentstep.Possible(result.ExitCode):
		err = fmt.Errorf("the pod's agent tells of exit code %d, which there is not", result.ExitCode)
		fallthrough
	case err != nil:
		return -1, s.lost(ctx, entry, err)
	}
	if result.ExitCode == 0 {
		return 0, nil
	}
	err = &command.ExitError{Code: result.ExitCode}
	if result.OutOfMemory {
		what := "A process of the step was"
		if result.ExitCode == agentstep.CodeKilled {
			what = "The step was"
		}
		err = s.noted(entry, fmt.Sprintf("%s killed: out of memory (limit %s).", what, s.memoryLimit()), err)
	}
	return result.ExitCode, err
}

func (s *session) memoryLimit() string {
	if limit, found := s.runtime.options.Resources.Limits[corev1.ResourceMemory]; found {
		return limit.String()
	}
	return "of its node"
}

func (s *session) noted(entry command.Entry, reason string, err error) error {
	host.Note(entry, reason)
	return fmt.Errorf("%s: %w", host.OneLine(reason), err)
}

// killed is a container that the node has ended.
func (s *session) killed(entry command.Entry, t task, ended *corev1.ContainerStateTerminated) (int, error) {
	code := int(ended.ExitCode)
	if code == 0 {
		code = agentstep.CodeKilled
	}
	reason := fmt.Sprintf("The step was killed: %s.", host.OneLine(strings.Join([]string{ended.Reason, ended.Message}, " ")))
	if ended.Reason == "OOMKilled" {
		reason = fmt.Sprintf("The step was killed: out of memory (limit %s).", s.memoryLimit())
	}
	return code, s.noted(entry, reason, &command.ExitError{Code: code})
}

// imageless is a step whose container does not start.
func (s *session) imageless(entry command.Entry, t task, kind, why string) (int, error) {
	text := fmt.Sprintf("the container of image %s can't be made: %s", t.step.Image, why)
	if kind == "image" {
		text = fmt.Sprintf("image %s could not be pulled: %s", t.step.Image, why)
	}
	host.Note(entry, fmt.Sprintf("The step did not start: %s.", host.OneLine(text)))
	return agentstep.CodeRefused, fmt.Errorf("%s: %w", text, &command.ExitError{Code: agentstep.CodeRefused})
}

// unreached is a step that did not begin because the pod is gone or out of reach.
func (s *session) unreached(ctx context.Context, entry command.Entry, err error) (int, error) {
	if ctx.Err() != nil {
		host.Note(entry, host.StopReason(ctx))
		return -1, context.Cause(ctx)
	}
	return -1, s.lost(ctx, entry, err)
}

// lost is the end of a step that is not its own.
func (s *session) lost(ctx context.Context, entry command.Entry, err error) error {
	if ctx.Err() != nil {
		host.Note(entry, host.StopReason(ctx))
		return context.Cause(ctx)
	}
	if s.isTaken() {
		return err
	}
	host.Note(entry, fmt.Sprintf("The step was lost: %s.", host.OneLine(err.Error())))
	return fmt.Errorf("the step was lost: %w", err)
}
