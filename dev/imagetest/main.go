// Command imagetest holds a container image against files of container structure tests (the YAML of container-structure-test, schema 2.0.0),
// in containers of the Docker engine.
//
//	imagetest --image REF | --tarball FILE [--timeout 5m] [--test-timeout 1m] --config FILE [--config FILE…]
//
// It prints a line for each test and then "N passed, N failed". Exit code 0: all passed; 1: some failed; 2: they could not be run.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/open-executor/executor/dev/imagetest/checks"
	"github.com/open-executor/executor/dev/imagetest/engine"
	"github.com/open-executor/executor/dev/imagetest/schema"
)

const (
	allPassed = iota
	someFailed
	couldNotRun
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr, openEngine)
	stop()
	os.Exit(code)
}

// session is an engine in use.
type session interface {
	checks.Engine
	// Load loads an archive and returns the image's name.
	Load(ctx context.Context, file string) (string, error)
	// Close removes what is left of this use.
	Close() error
}

func openEngine(ctx context.Context) (session, error) {
	return engine.Open(ctx, strings.ToLower(rand.Text()))
}

// options are the words of the command line.
type options struct {
	image, tarball       string
	configs              list
	timeout, testTimeout time.Duration
}

// list is a flag that may stand several times.
type list []string

func (l *list) String() string         { return strings.Join(*l, " ") }
func (l *list) Set(value string) error { *l = append(*l, value); return nil }

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("imagetest", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.image, "image", "", "name or id of an image that the engine has")
	flags.StringVar(&o.tarball, "tarball", "", "archive of \"docker save\" or oci_load, to be loaded and removed again")
	flags.Var(&o.configs, "config", "file of tests; may stand several times")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long all tests may take")
	flags.DurationVar(&o.testTimeout, "test-timeout", time.Minute, "how long each test may take")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no flag", flags.Arg(0))
	case (o.image == "") == (o.tarball == ""):
		return o, errors.New("give either --image or --tarball")
	case len(o.configs) == 0:
		return o, errors.New("give at least one --config")
	case o.timeout <= 0 || o.testTimeout <= 0:
		return o, fmt.Errorf("--timeout %s, --test-timeout %s: they must be more than 0", o.timeout, o.testTimeout)
	}
	return o, nil
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, open func(context.Context) (session, error)) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return allPassed
	}
	var failed int
	if err == nil {
		ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("all tests together took longer than %s", o.timeout))
		failed, err = o.test(ctx, stdout, open)
		cancel()
	}
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "imagetest:", err)
		return couldNotRun
	case failed > 0:
		return someFailed
	default:
		return allPassed
	}
}

// test runs all tests and returns how many failed. Nothing is left in the engine.
func (o options) test(ctx context.Context, stdout io.Writer, open func(context.Context) (session, error)) (failed int, err error) {
	// Files are read first: a mistake in one costs no container.
	var files []*schema.File
	for _, path := range o.configs {
		f, err := schema.ReadFile(path)
		if err != nil {
			return 0, err
		}
		files = append(files, f)
	}
	e, err := open(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	image := o.image
	if o.tarball != "" {
		if image, err = e.Load(ctx, o.tarball); err != nil {
			return 0, err
		}
	}
	// An image that isn't there is no failure of each test.
	if _, err := e.Config(ctx, image); err != nil {
		return 0, err
	}
	report := report{out: stdout}
	runner := checks.Runner{Engine: e, Image: image, Limit: o.testTimeout, Env: os.Getenv}
	for _, f := range files {
		if err := runner.RunFile(ctx, f, report.tell); err != nil {
			return 0, fmt.Errorf("stopped before all tests were run: %w", err)
		}
	}
	report.close()
	return report.failed, nil
}
