// Package lifecycle starts and stops the parts of a process: signals that drain first and stop second, and HTTP servers that
// end their open streams cleanly.
package lifecycle

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/sourcegraph/log"
)

// Step is what one signal does.
type Step struct {
	// Does is logged, for the person who sent the signal.
	Does string
	// Run must not block.
	Run func()
}

// DrainThenStop are an executor's steps: the first signal ends the taking of new jobs, the second the running ones too, the
// third the process (spec section 4.7).
func DrainThenStop(drain, stop func()) []Step {
	return []Step{
		{"draining: no new jobs are taken; signal again to stop the running ones", drain},
		{"stopping: running jobs are ended and reported; signal again to exit at once", stop},
		{"exiting at once; leftovers are removed at the next start", func() { os.Exit(1) }},
	}
}

// StopThenExit are a server's steps.
func StopThenExit(stop func()) []Step {
	return []Step{
		{"stopping: open requests may finish; signal again to exit at once", stop},
		{"exiting at once", func() { os.Exit(1) }},
	}
}

// OnSignals runs the steps one by one as SIGHUP, SIGINT or SIGTERM arrive, until release is called. Release waits for the step
// that is running and gives the signals their default effect again.
func OnSignals(logger log.Logger, steps []Step) (release func()) {
	signals := make(chan os.Signal, len(steps))
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, step := range steps {
			received, ok := <-signals
			if !ok {
				return
			}
			logger.Info(step.Does, log.String("signal", received.String()))
			step.Run()
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-ended
	}
}
