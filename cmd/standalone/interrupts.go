package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/lifecycle"
)

// errInterrupted ends the context at the second signal, and at the first one while there is no job yet.
var errInterrupted = errors.New("interrupted")

// interrupts turns signals into a cancel of the job first and an end of everything second.
type interrupts struct {
	stop context.CancelCauseFunc

	mu     sync.Mutex
	cancel func() error
}

func newInterrupts(stop context.CancelCauseFunc) *interrupts { return &interrupts{stop: stop} }

// cancelJob tells how to cancel the job, now that there is one.
func (i *interrupts) cancelJob(cancel func() error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cancel = cancel
}

func (i *interrupts) steps() []lifecycle.Step {
	return []lifecycle.Step{
		{Does: "canceling the job; signal again to end it without waiting", Run: i.first},
		{Does: "ending the job", Run: func() { i.stop(errInterrupted) }},
		{Does: "exiting at once; leftovers are removed at the next start", Run: func() { os.Exit(1) }},
	}
}

func (i *interrupts) first() {
	i.mu.Lock()
	cancel := i.cancel
	i.mu.Unlock()
	if cancel == nil {
		i.stop(errInterrupted)
		return
	}
	if err := cancel(); err != nil {
		log.Scoped("standalone").Error("canceling the job failed", log.Error(err))
		i.stop(errInterrupted)
	}
}

// announced tells people what each signal does; the log does so at a level that they don't see by default.
func announced(stderr io.Writer, steps []lifecycle.Step) []lifecycle.Step {
	for i := range steps {
		does, run := steps[i].Does, steps[i].Run
		steps[i].Run = func() {
			fmt.Fprintf(stderr, "standalone: %s\n", does)
			run()
		}
	}
	return steps
}
