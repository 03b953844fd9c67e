package main

import (
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/apiclient"
	"github.com/open-executor/executor/internal/jobfile"
)

func submitCommand(w world) *cli.Command {
	return &cli.Command{
		Name:      "submit",
		Usage:     "submit a job file, YAML or JSON; - reads it from standard input",
		ArgsUsage: "FILE",
		Flags:     watchFlags(),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usageError{fmt.Errorf("submit wants one job file, got %d arguments", c.NArg())}
			}
			spec, err := w.readJobFile(c.Args().First())
			if err != nil {
				return usageError{err}
			}
			client, err := w.connect(c)
			if err != nil {
				return err
			}
			job, err := client.Submit(c.Context, spec)
			if err != nil {
				return err
			}
			return w.started(c, client, job)
		},
	}
}

// readJobFile reads a job file and takes its secrets from the environment.
func (w world) readJobFile(file string) (jobs.Spec, error) {
	var data []byte
	var err error
	if file == "-" {
		file = "standard input"
		data, err = io.ReadAll(io.LimitReader(w.stdin, jobfile.DefaultMaxBytes+1))
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return jobs.Spec{}, err
	}
	return jobfile.Parse(file, data, jobfile.Options{Env: w.env})
}

func retryCommand(w world) *cli.Command {
	return &cli.Command{
		Name:      "retry",
		Usage:     "submit a job that is over once more, with the same commit and secrets",
		ArgsUsage: "JOB",
		Flags:     watchFlags(),
		Action: w.aboutJob(func(c *cli.Context, client *apiclient.Client, id int64) error {
			job, err := client.Retry(c.Context, id)
			if err != nil {
				return err
			}
			return w.started(c, client, job)
		}),
	}
}

func cancelCommand(w world) *cli.Command {
	return &cli.Command{
		Name:      "cancel",
		Usage:     "stop a job",
		ArgsUsage: "JOB",
		Action: w.aboutJob(func(c *cli.Context, client *apiclient.Client, id int64) error {
			job, err := client.Cancel(c.Context, id)
			return printAnswer(w, c, job, err, func(job jobs.Job) error {
				_, err := fmt.Fprintf(w.stdout, "job %d is %s\n", job.ID, stateOf(job))
				return err
			})
		}),
	}
}
