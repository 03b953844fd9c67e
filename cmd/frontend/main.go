// Command frontend keeps queues of jobs and serves executors, which run them, and clients, which submit and watch them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/sourcegraph/log"
	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/frontendconfig"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/frontend/server"
	"github.com/open-executor/executor/internal/lifecycle"
	"github.com/open-executor/executor/internal/version"
)

func main() { os.Exit(run(os.Args, os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	callbacks := log.Init(log.Resource{Name: "frontend", Version: version.Version()})
	defer callbacks.Sync()
	app := &cli.App{
		Name:      "frontend",
		Usage:     "keeps queues of jobs for executors",
		Version:   version.Version(),
		Writer:    stdout,
		ErrWriter: stderr,
		Commands: []*cli.Command{{
			Name:        "serve",
			Usage:       "serves executors and clients until SIGINT or SIGTERM",
			Description: frontendconfig.HelpText(),
			Action:      func(c *cli.Context) error { return serve(c.Context, stdout) },
		}},
		// Errors are printed by run.
		ExitErrHandler: func(*cli.Context, error) {},
	}
	if err := app.RunContext(context.Background(), args); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, stdout io.Writer) error {
	host, err := config.CurrentHost(version.Version())
	if err != nil {
		return err
	}
	settings, err := frontendconfig.Load(os.LookupEnv, host)
	if err != nil {
		return err
	}
	logger := log.Scoped("frontend")
	listener, err := net.Listen("tcp", settings.ListenAddr)
	if err != nil {
		return fault.Operatorf("FRONTEND_LISTEN_ADDR: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	supervisor := lifecycle.NewSupervisor(logger)
	defer supervisor.Close()
	release := lifecycle.OnSignals(logger, lifecycle.StopThenExit(func() {
		supervisor.Stopping("stopping: open requests may finish")
		stop()
	}))
	defer release()
	frontend, err := server.Start(ctx, logger, settings, listener)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "frontend %s is listening on http://%s\n", version.Version(), frontend.Address())
	supervisor.Ready(fmt.Sprintf("serving on http://%s", frontend.Address()))
	endWatch := supervisor.Watch(answers("http://" + frontend.Address().String() + "/readyz"))
	select {
	case <-ctx.Done():
	case <-frontend.Done():
	}
	endWatch()
	return errors.Join(frontend.Stop(), frontend.Err())
}
