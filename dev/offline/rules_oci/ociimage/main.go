// Command ociimage does the work of the rules in //oci: it makes image layouts (describe, image, index, pulled), turns one into a tar file for
// "docker load" (tarball) and pushes one (push). Bazel calls it; its flags are those rules' business.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// limit ends a run that hangs; pushing a gigabyte takes minutes.
const limit = time.Hour

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, limit)
	err := run(ctx, os.Args[1:], os.Stdout)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rules_oci (offline):", err)
		os.Exit(1)
	}
}

var commands = map[string]func(context.Context, []string, io.Writer) error{
	"describe": describe,
	"image":    writeImage,
	"index":    writeIndex,
	"pulled":   writePulled,
	"push":     push,
	"tarball":  writeTarball,
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("no command")
	}
	command, found := commands[args[0]]
	if !found {
		return fmt.Errorf("no command %q", args[0])
	}
	return command(ctx, args[1:], out)
}
