// Command debian makes the roots of images out of Debian packages: reproducibly, without root, and without running anything of a package.
// README.md tells how it is used; Bazel does so through debian.bzl.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/open-executor/executor/docker-images/debian/internal/apt"
)

const usage = `usage: go run ./docker-images/debian COMMAND [FLAG…], from the repository's root

  lock    writes lock_ARCHITECTURE.json: what packages.yaml comes to today
          --if-stale  only where the mirror no longer has a locked package
  check   tells what the mirror has replaced since, and fails with 1 where it no longer has a locked package
  fetch   downloads a set's packages and those of the sets below it: --arch A --set S --into DIR
  root    makes the layer of a set out of its packages and those of the sets below it:
          --arch A --set S --output FILE.tar.gz PACKAGE.deb…

  --dir DIR   where packages.yaml and the locks are (docker-images/debian)
`

// Exit codes: what was asked about is so, and it could not be found out.
const (
	exitGone   = 1
	exitFailed = 2
)

// limit bounds a command, downloads included.
const limit = 20 * time.Minute

// errGone ends check with exitGone; what is gone has been told.
var errGone = errors.New("the mirror no longer has what is locked")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %s", limit))
	defer cancel()
	os.Exit(run(ctx, world{
		stdout: os.Stdout,
		stderr: os.Stderr,
		run:    apt.Run,
		mirror: os.Getenv(apt.MirrorVariable),
	}, os.Args[1:]))
}

// world is what the commands see of the machine.
type world struct {
	stdout, stderr io.Writer
	run            apt.Runner
	mirror         string
}

func run(ctx context.Context, w world, args []string) int {
	err := dispatch(ctx, w, args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(w.stderr, usage)
		return exitFailed
	}
	if err != nil {
		fmt.Fprintln(w.stderr, err)
	}
	_, vanished := errors.AsType[*apt.GoneError](err)
	switch {
	case err == nil:
		return 0
	case vanished || errors.Is(err, errGone):
		return exitGone
	default:
		return exitFailed
	}
}

func dispatch(ctx context.Context, w world, args []string) error {
	if len(args) == 0 {
		return flag.ErrHelp
	}
	commands := map[string]func(context.Context, world, *flag.FlagSet, []string) error{
		"lock": lock, "check": check, "fetch": fetch, "root": root,
	}
	command, known := commands[args[0]]
	if !known {
		return flag.ErrHelp
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(w.stderr)
	flags.Usage = func() {}
	return command(ctx, w, flags, args[1:])
}

// place adds --dir.
func place(flags *flag.FlagSet) *string { return flags.String("dir", "docker-images/debian", "") }

// noMore refuses words behind the flags of a command that takes none.
func noMore(flags *flag.FlagSet) error {
	if flags.NArg() > 0 {
		return fmt.Errorf("%s takes no %q", flags.Name(), flags.Arg(0))
	}
	return nil
}
