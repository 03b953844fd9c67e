// Command executor polls a frontend for jobs and runs them.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/sourcegraph/log"
	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/agent"
	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/lifecycle"
	"github.com/open-executor/executor/internal/version"
)

func main() {
	callbacks := log.Init(log.Resource{Name: "executor", Version: version.Version()})
	code := run(os.Args, os.LookupEnv, os.Stdout, os.Stderr)
	callbacks.Sync()
	os.Exit(code)
}

// run is the program: exit code 0 or 1, errors on stderr (spec section 1).
func run(args []string, env config.Lookup, stdout, stderr io.Writer) int {
	err := newApp(env, stdout, stderr).RunContext(context.Background(), args)
	if err == nil {
		return 0
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(stderr, text)
	}
	return 1
}

func newApp(env config.Lookup, stdout, stderr io.Writer) *cli.App {
	p := program{stdout: stdout}
	p.config, p.configErr = loadConfig(env)
	return &cli.App{
		Name:      "executor",
		Usage:     "runs jobs of a frontend's queues",
		Version:   version.Version(),
		Writer:    stdout,
		ErrWriter: stderr,
		Commands:  []*cli.Command{p.runCommand(), p.validateCommand(), p.installCommand(), p.testVMCommand(), p.vmCommand()},
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				fmt.Fprintf(stdout, "Unknown command %q. Try \"executor help\".\n", name)
				return cli.Exit("", 1)
			}
			return p.run(c)
		},
		OnUsageError: usageError,
		// Errors are printed, and turned into the exit code, by run.
		ExitErrHandler: func(*cli.Context, error) {},
	}
}

func usageError(c *cli.Context, err error, _ bool) error {
	help := "executor help"
	if name := c.Command.Name; name != c.App.Name {
		help += " " + name
	}
	return fmt.Errorf("%w; try %q", err, help)
}

// loadConfig reads the environment once, before the arguments are looked at.
func loadConfig(env config.Lookup) (executorconfig.Config, error) {
	host, err := config.CurrentHost(version.Version())
	if err != nil {
		return executorconfig.Config{}, err
	}
	return executorconfig.Load(env, host)
}

// program holds what the commands share.
type program struct {
	stdout    io.Writer
	config    executorconfig.Config
	configErr error
}

func (p program) runCommand() *cli.Command {
	return &cli.Command{
		Name:        "run",
		Usage:       "polls the frontend for jobs and runs them (default)",
		Description: executorconfig.HelpText(),
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "verify", Usage: "check the tools that jobs need before polling"}},
		Action:      p.run,
		// The usage has all variables: too long to stand before an error.
		OnUsageError: usageError,
	}
}

func (p program) run(c *cli.Context) error {
	if p.configErr != nil {
		return p.configErr
	}
	logger := log.Scoped("executor")
	tools := agent.NewTools()
	if c.Bool("verify") {
		if err := agent.Verify(c.Context, logger, p.config, tools); err != nil {
			return err
		}
	}
	executor := agent.New(logger, p.config, tools)
	supervisor := lifecycle.NewSupervisor(logger)
	defer supervisor.Close()
	executor.ReportTo(supervisor)
	release := lifecycle.OnSignals(logger, lifecycle.DrainThenStop(executor.Drain, executor.Stop))
	defer release()
	return executor.Run(c.Context)
}

func (p program) validateCommand() *cli.Command {
	return &cli.Command{
		Name:         "validate",
		Usage:        "checks the configuration, the tools and the token",
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if p.configErr != nil {
				return p.configErr
			}
			return agent.Validate(c.Context, log.Scoped("executor"), p.config, agent.NewTools(), p.stdout)
		},
	}
}
