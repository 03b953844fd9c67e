// Command benchmark measures dispatch and overhead; dev/bench calls it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/sourcegraph/log"
)

func main() {
	log.Init(log.Resource{Name: "benchmark"})
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: benchmark dispatch|overhead [--runs N]")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	runs := flags.Int("runs", 50, "how often to measure")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if *runs < 1 {
		return fmt.Errorf("--runs %d: want at least 1", *runs)
	}
	switch args[0] {
	case "dispatch":
		return dispatch(ctx, *runs)
	case "overhead":
		return overhead(ctx, *runs)
	}
	return fmt.Errorf("unknown benchmark %q; there are dispatch and overhead", args[0])
}
