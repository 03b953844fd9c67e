package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/apiclient"
)

func logsCommand(w world) *cli.Command {
	return &cli.Command{
		Name:      "logs",
		Usage:     "print a job's log as it is now, or follow it to its end",
		ArgsUsage: "JOB",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "show all attempts, step by step, until the job is over"},
			&cli.IntFlag{Name: "attempt", Usage: "without --follow: the log of attempt `N`", DefaultText: "the last one"},
			&cli.BoolFlag{Name: "verbose", Usage: "with --follow: show preparations and clean-up like steps"},
		},
		Action: w.aboutJob(func(c *cli.Context, client *apiclient.Client, id int64) error {
			follow := c.Bool("follow")
			switch {
			case follow && c.IsSet("attempt"):
				return usageError{errors.New("--follow shows all attempts: leave out --attempt")}
			case c.Int("attempt") < 0 || c.IsSet("attempt") && c.Int("attempt") == 0:
				return usageError{fmt.Errorf("--attempt %d: attempts count from 1", c.Int("attempt"))}
			case !follow && wantsJSON(c):
				return usageError{errors.New("a log is no JSON; --follow --output json prints it as events")}
			case !follow:
				return client.Log(c.Context, id, c.Int("attempt"), w.stdout)
			}
			// The log was read to its end: what became of the job is said there.
			if err := w.follow(c, client, id); !errors.Is(err, errJobNotCompleted) {
				return err
			}
			return nil
		}),
	}
}
