// Command execctl submits jobs to a frontend, watches them, and shows who works on them.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		cancel(errInterrupted)
		// A second signal ends the process at once.
		signal.Stop(signals)
	}()
	os.Exit(run(ctx, world{
		args:   os.Args,
		stdin:  os.Stdin,
		stdout: os.Stdout,
		stderr: os.Stderr,
		env:    os.LookupEnv,
		uid:    os.Geteuid(),
		now:    time.Now,
	}))
}
