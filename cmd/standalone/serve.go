package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/sourcegraph/log"
	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/config/frontendconfig"
	"github.com/open-executor/executor/internal/frontend/server"
	"github.com/open-executor/executor/internal/lifecycle"
	"github.com/open-executor/executor/internal/runtime/docker"
)

func serveCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "serves a frontend and an executor until SIGINT or SIGTERM",
		Description: "Settings are the frontend's and the executor's environment variables (docs/configuration.md); the two find each\n" +
			"other by themselves. The first signal lets running jobs finish, the second ends them.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data-dir", Usage: "where the queue is kept; the default is that of FRONTEND_DATA_DIR"},
			&cli.StringSliceFlag{Name: "queue", Value: cli.NewStringSlice("default"), Usage: "a queue to take jobs from; may be given again"},
			&cli.StringFlag{Name: "runtime", Value: "auto", Usage: "where steps run: auto, docker, firecracker (a microVM per job), or shell (this host, without isolation)"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usageError{fmt.Errorf("serve takes no arguments, got %q", c.Args().Slice())}
			}
			return serve(c.Context, c.String("data-dir"), c.StringSlice("queue"), c.String("runtime"), stdout, stderr)
		},
	}
}

func serve(ctx context.Context, dataDir string, queues []string, runtimeName string, stdout, stderr io.Writer) error {
	wanted, err := runtimeFlag(runtimeName)
	if err != nil {
		return err
	}
	place, err := placeForAnyJob(ctx, wanted, docker.NewEngine(&command.Runner{}))
	if err != nil {
		return err
	}
	env := map[string]string{}
	if dataDir != "" {
		env["FRONTEND_DATA_DIR"] = dataDir
	}
	var settings frontendconfig.Config
	both, err := start(ctx, env, func(loaded *frontendconfig.Config) { settings = *loaded }, place, strings.Join(queues, ","))
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	release := lifecycle.OnSignals(log.Scoped("standalone"), announced(stderr, lifecycle.DrainThenStop(both.executor.Drain, both.executor.Stop)))
	defer release()
	fmt.Fprintf(stdout, "listening on http://%s\n", reachable(both.frontend.Address()))
	if settings.APIToken.Reveal() == "" {
		fmt.Fprintf(stdout, "token of the jobs API: %s\n", filepath.Join(settings.DataDir, server.TokenFile))
	}
	go func() {
		defer close(ended)
		both.ended <- <-both.ended
	}()
	select {
	case <-ended:
	case <-both.frontend.Done():
		err = both.frontend.Err()
	}
	return errors.Join(err, both.stop())
}
