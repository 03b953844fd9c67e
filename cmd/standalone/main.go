// Command standalone is a frontend and an executor in one process: it runs one job file, or serves both on a data directory.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sourcegraph/log"
	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/cliargs"
	"github.com/open-executor/executor/internal/version"
)

// Exit codes: of the job's result, and of a command line that can't be understood.
const (
	exitFailed = 1
	exitUsage  = 2
)

// errJobFailed: the job ran and did not succeed; its log has said why.
var errJobFailed = errors.New("job failed")

// usageError is a mistake on the command line or in the job file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() { os.Exit(run(os.Args, os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	// What the process logs stands among what people read.
	if _, set := os.LookupEnv("SRC_LOG_FORMAT"); !set {
		os.Setenv("SRC_LOG_FORMAT", "console")
	}
	callbacks := log.Init(log.Resource{Name: "standalone", Version: version.Version()})
	defer callbacks.Sync()

	app := newApp(stdout, stderr)
	return exitCode(app.RunContext(context.Background(), cliargs.Sort(app, args)), stderr)
}

func newApp(stdout, stderr io.Writer) *cli.App {
	usage := func(_ *cli.Context, err error, _ bool) error { return usageError{err} }
	app := &cli.App{
		Name:         "standalone",
		Usage:        "runs jobs with a frontend and an executor in one process",
		Version:      version.Version(),
		Writer:       stdout,
		ErrWriter:    stderr,
		Commands:     []*cli.Command{runCommand(stdout, stderr), serveCommand(stdout, stderr)},
		OnUsageError: usage,
		Action:       noCommand,
		// Errors are printed, and turned into the exit code, by exitCode.
		ExitErrHandler: func(*cli.Context, error) {},
	}
	for _, command := range app.Commands {
		command.OnUsageError = usage
	}
	return app
}

func noCommand(c *cli.Context) error {
	if name := c.Args().First(); name != "" {
		return usageError{fmt.Errorf("unknown command %q; try standalone help", name)}
	}
	return cli.ShowAppHelp(c)
}

func exitCode(err error, stderr io.Writer) int {
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errJobFailed):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	fmt.Fprintln(stderr, err)
	return exitFailed
}
