package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/cliargs"
	"github.com/open-executor/executor/internal/version"
)

// world is what the program sees of its surroundings.
type world struct {
	args           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) (string, bool)
	// uid is the effective user's id; 0 is root.
	uid int
	now func() time.Time
}

const (
	defaultURL = "http://127.0.0.1:7080"

	flagURL       = "url"
	flagTokenFile = "token-file"
	flagOutput    = "output"
)

// run runs one command and returns the process's exit code.
func run(ctx context.Context, w world) int {
	app := newApp(w)
	return exitCode(app.RunContext(ctx, cliargs.Sort(app, w.args)), w.stderr)
}

func newApp(w world) *cli.App {
	app := &cli.App{
		Name:                 "execctl",
		Usage:                "submits jobs to a frontend and watches them",
		Description:          exitCodes,
		Version:              version.Version(),
		Reader:               w.stdin,
		Writer:               w.stdout,
		ErrWriter:            w.stderr,
		EnableBashCompletion: true,
		HideHelpCommand:      true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagURL, Usage: "the frontend's `URL`, $EXECCTL_URL", DefaultText: defaultURL},
			&cli.StringFlag{Name: flagTokenFile, Usage: "`FILE` with the jobs API's token, $EXECCTL_TOKEN_FILE; $EXECCTL_TOKEN is the token itself",
				DefaultText: "api-token in the data directory of a frontend on this machine"},
			&cli.StringFlag{Name: flagOutput, Aliases: []string{"o"}, Value: outputTable, Usage: "`FORMAT` of what is printed: table or json"},
		},
		Commands: []*cli.Command{
			submitCommand(w), listCommand(w), showCommand(w), logsCommand(w), cancelCommand(w), retryCommand(w),
			executorsCommand(w), queuesCommand(w), completionCommand(w),
		},
		Action:         noCommand,
		ExitErrHandler: func(*cli.Context, error) {},
	}
	refuse := func(_ *cli.Context, err error, _ bool) error { return usageError{err} }
	app.OnUsageError = refuse
	var names []string
	for _, command := range app.Commands {
		names = append(names, command.Name)
		command.OnUsageError = refuse
		command.HideHelpCommand = true
		command.BashComplete = w.complete(append(command.Flags, app.Flags...))
	}
	app.Command("completion").BashComplete = w.complete(app.Flags, "bash", "zsh")
	app.BashComplete = w.complete(app.Flags, names...)
	return app
}

func noCommand(c *cli.Context) error {
	if name := c.Args().First(); name != "" {
		return usageError{fmt.Errorf("there is no command %q; execctl --help lists all", name)}
	}
	return cli.ShowAppHelp(c)
}
