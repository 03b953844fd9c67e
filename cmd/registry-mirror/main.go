// Command registry-mirror is a pull-through cache of a registry, for machines that pull the same images again and again.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sourcegraph/log"
	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/lifecycle"
	"github.com/open-executor/executor/internal/mirror/server"
	"github.com/open-executor/executor/internal/mirror/upstreams"
	"github.com/open-executor/executor/internal/version"
)

func main() {
	callbacks := log.Init(log.Resource{Name: "registry-mirror", Version: version.Version()})
	code := run(os.Args, os.Stdout, os.Stderr)
	callbacks.Sync()
	os.Exit(code)
}

func run(args []string, stdout, stderr io.Writer) int {
	list := &cli.StringFlag{Name: "upstreams", Usage: "the list of registries, one a line", Value: "/etc/registry-mirror/upstreams", TakesFile: true}
	app := &cli.App{
		Name:      "registry-mirror",
		Usage:     "caches a registry's images",
		Version:   version.Version(),
		Writer:    stdout,
		ErrWriter: stderr,
		Commands: []*cli.Command{{
			Name:      "serve",
			Usage:     "mirrors one registry of the list until SIGINT or SIGTERM",
			ArgsUsage: "NAME",
			Flags:     []cli.Flag{list},
			Action:    func(c *cli.Context) error { return serve(c.Context, c.String(list.Name), c.Args().Slice()) },
		}, {
			Name:   "list",
			Usage:  "checks the list and prints each upstream: name, registry, address of pulls, address of metrics",
			Flags:  []cli.Flag{list},
			Action: func(c *cli.Context) error { return print(stdout, c.String(list.Name)) },
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

func print(stdout io.Writer, list string) error {
	all, err := upstreams.Load(list)
	if err != nil {
		return err
	}
	for _, one := range all {
		if _, err := fmt.Fprintln(stdout, one.Name, one.URL, one.Listen(), one.Metrics()); err != nil {
			return err
		}
	}
	return nil
}

func serve(ctx context.Context, list string, names []string) error {
	if len(names) != 1 {
		return fault.Operatorf("serve wants the name of one upstream of %s", list)
	}
	all, err := upstreams.Load(list)
	if err != nil {
		return err
	}
	upstream, err := upstreams.Find(all, names[0])
	if err != nil {
		return err
	}
	logger := log.Scoped("mirror").With(log.String("upstream", upstream.Name))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	supervisor := lifecycle.NewSupervisor(logger)
	defer supervisor.Close()
	release := lifecycle.OnSignals(logger, lifecycle.StopThenExit(func() {
		supervisor.Stopping("stopping: open pulls may finish")
		stop()
	}))
	defer release()
	mirror, err := server.Start(logger, upstream)
	if err != nil {
		return err
	}
	supervisor.Ready(fmt.Sprintf("mirroring %s at %s", upstream.URL, mirror.Address()))
	endWatch := supervisor.Watch(mirror.Alive)
	select {
	case <-ctx.Done():
	case <-mirror.Done():
	}
	endWatch()
	return errors.Join(mirror.Stop(), mirror.Err())
}
