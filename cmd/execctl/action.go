package main

import (
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/apiclient"
)

// aboutJob makes the action of a command whose one argument is a job.
func (w world) aboutJob(do func(c *cli.Context, client *apiclient.Client, id int64) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		id, err := jobArgument(c)
		if err != nil {
			return err
		}
		client, err := w.connect(c)
		if err != nil {
			return err
		}
		return do(c, client, id)
	}
}

// aboutAll makes the action of a command without arguments.
func (w world) aboutAll(do func(c *cli.Context, client *apiclient.Client) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.NArg() > 0 {
			return usageError{fmt.Errorf("%s wants no arguments, got %q", c.Command.Name, c.Args().First())}
		}
		client, err := w.connect(c)
		if err != nil {
			return err
		}
		return do(c, client)
	}
}

func jobArgument(c *cli.Context) (int64, error) {
	if c.NArg() != 1 {
		return 0, usageError{fmt.Errorf("%s wants one job id, got %d arguments", c.Command.Name, c.NArg())}
	}
	id, err := strconv.ParseInt(c.Args().First(), 10, 64)
	if err != nil || id <= 0 {
		return 0, usageError{fmt.Errorf("%q is no job id: wants a number such as execctl list shows", c.Args().First())}
	}
	return id, nil
}
