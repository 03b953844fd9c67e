package microvm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime/agentstep"
	"github.com/open-executor/executor/internal/runtime/host"
	"github.com/open-executor/executor/internal/vm/channel"
)

// conclude turns how a task ended into the entry's exit code and Run's error.
func (s *session) conclude(ctx context.Context, entry command.Entry, t task, result channel.Result, err error) (int, error) {
	var refusal *channel.Error
	switch {
	case errors.As(err, &refusal) && refusal.Reason == channel.ReasonStart:
		return agentstep.NotStarted(entry, t.image, refusal, "not found", "No such file")
	case fault.ClassOf(err) == fault.User:
		host.Note(entry, fmt.Sprintf("The step did not start: %s.", host.OneLine(err.Error())))
		return -1, err
	case err == nil && !agentstep.Possible(result.ExitCode):
		err = fmt.Errorf("the guest agent tells of exit code %d, which there is not", result.ExitCode)
		fallthrough
	case err != nil:
		return -1, s.lost(ctx, entry, err)
	}
	if result.ExitCode == 0 {
		return 0, nil
	}
	err = &command.ExitError{Code: result.ExitCode}
	if reason := s.wanting(result); reason != "" {
		host.Note(entry, reason)
		err = fmt.Errorf("%s: %w", host.OneLine(reason), err)
	}
	return result.ExitCode, err
}

// wanting is the sentence for a failed step that lacked something; empty when it lacked nothing.
func (s *session) wanting(result channel.Result) string {
	what := "The step was"
	switch {
	case !result.OutOfMemory && result.DiskFull:
		return fmt.Sprintf("The job's disk is full (%d MiB, EXECUTOR_FIRECRACKER_DISK_SPACE).", s.runtime.options.Disk>>20)
	case !result.OutOfMemory:
		return ""
	case result.ExitCode != agentstep.CodeKilled:
		what = "A process of the step was"
	}
	return fmt.Sprintf("%s killed: out of memory (limit %s).", what, s.runtime.options.MemoryShown)
}

// lost is the end of a step that is the machine's fault, not the step's.
func (s *session) lost(ctx context.Context, entry command.Entry, err error) error {
	defer s.machine.endLost()
	if ctx.Err() != nil {
		host.Note(entry, host.StopReason(ctx))
		return context.Cause(ctx)
	}
	err = fmt.Errorf("the step was lost: its microVM failed: %w", err)
	host.Note(entry, fmt.Sprintf("The step was lost: its microVM failed: %s.", host.OneLine(errors.Unwrap(err).Error())))
	note(entry, s.machine.instance.Console())
	return err
}

// noteConsole adds what the guest printed before it failed to come up.
func noteConsole(entry io.Writer, err error) {
	var failed *stageError
	if errors.As(err, &failed) {
		note(entry, failed.console)
	}
}

// consoleLines bounds how much of a console the log shows.
const consoleLines = 30

// note adds the end of a console to an entry. The bytes are the guest's: what isn't text becomes "?".
func note(entry io.Writer, console []byte) {
	text := strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(string(bytes.ReplaceAll(bytes.TrimSpace(console), []byte("\r"), nil)), "?"))
	if text == "" {
		return
	}
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-consoleLines):]
	host.Note(entry, "The guest's console ends with:")
	for _, line := range lines {
		host.Note(entry, "  "+line)
	}
}
