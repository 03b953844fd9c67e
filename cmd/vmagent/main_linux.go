// Command vmagent is the first process in a microVM's guest. People don't start it: the kernel does.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/open-executor/executor/internal/vm/guest"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "vmagent is the first process of a microVM; on a host it does nothing")
		os.Exit(2)
	}
	// What goes wrong here is told on the console, which the host shows with the job.
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "vmagent:", err)
	}
	if err := guest.PowerOff(); err != nil {
		fmt.Fprintln(os.Stderr, "vmagent: powering off:", err)
	}
	select {}
}

func run() error {
	if err := guest.Start(); err != nil {
		return err
	}
	conn, err := guest.OpenChannel()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return guest.Run(context.Background(), conn)
}
