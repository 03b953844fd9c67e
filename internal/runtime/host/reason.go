// Package host is what runtimes share whose steps are processes of this host, and for all of them the words that say why a step ended.
package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/open-executor/executor/internal/runtime"
)

// StopReason is the sentence for a job's log that says why a context ended a step; empty when ctx has not ended.
func StopReason(ctx context.Context) string {
	cause := context.Cause(ctx)
	switch {
	case cause == nil:
		return ""
	case errors.Is(cause, runtime.ErrCanceled):
		return "The step was stopped: the job was canceled."
	case errors.Is(cause, runtime.ErrLeaseLost):
		return "The step was stopped: this executor lost its lease on the job."
	case errors.Is(cause, runtime.ErrShutdown):
		return "The step was stopped: the executor is shutting down."
	case !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Sprintf("The step was stopped: %s.", OneLine(cause.Error()))
	case cause == context.DeadlineExceeded:
		return "The step was killed by its deadline."
	}
	return fmt.Sprintf("The step was killed by its deadline: %s.", OneLine(cause.Error()))
}

// Note writes a sentence of ours as a line of its own; nothing when it is empty.
func Note(entry io.Writer, sentence string) {
	if sentence != "" {
		fmt.Fprintf(entry, "%s\n", sentence)
	}
}

// OneLine puts text on one line, without a full stop at its end.
func OneLine(text string) string {
	return strings.TrimRight(strings.Join(strings.Fields(text), " "), ".")
}
