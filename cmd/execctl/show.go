package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/apiclient"
)

func showCommand(w world) *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "show a job with its attempts",
		ArgsUsage: "JOB",
		Action: w.aboutJob(func(c *cli.Context, client *apiclient.Client, id int64) error {
			job, err := client.Job(c.Context, id)
			return printAnswer(w, c, job, err, w.printJob)
		}),
	}
}

func (w world) printJob(job jobs.Job) error {
	table := tabwriter.NewWriter(w.stdout, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, cell(value))
		}
	}
	row("job", strconv.FormatInt(job.ID, 10))
	row("state", stateOf(job))
	row("reason", job.Reason)
	row("queue", job.Queue)
	if job.RetryOf != 0 {
		row("retry of", strconv.FormatInt(job.RetryOf, 10))
	}
	if job.Spec != nil && job.Spec.Repository != nil {
		row("repository", job.Spec.Repository.Name+" at "+job.Spec.Repository.Commit)
	}
	row("queued", clockTime(&job.QueuedAt))
	row("started", clockTime(job.StartedAt))
	row("finished", clockTime(job.FinishedAt))
	row("ran", w.ran(job.StartedAt, job.FinishedAt))
	if err := table.Flush(); err != nil {
		return err
	}
	for _, attempt := range job.Attempts {
		if err := w.printAttempt(attempt); err != nil {
			return err
		}
	}
	return nil
}

func (w world) printAttempt(attempt jobs.Attempt) error {
	end := "runs"
	if attempt.Cause != "" {
		end = attempt.Cause
	}
	if attempt.Message != "" {
		end += ": " + attempt.Message
	}
	fmt.Fprintf(w.stdout, "\nattempt %d on %s, %s, %s\n", attempt.Number, cell(attempt.Executor), w.ran(&attempt.StartedAt, attempt.EndedAt), cell(end))
	var rows [][]string
	for _, entry := range attempt.Entries {
		code, took := "", ""
		if entry.ExitCode != nil {
			code = strconv.Itoa(*entry.ExitCode)
		}
		if entry.DurationMs != nil {
			took = (time.Duration(*entry.DurationMs) * time.Millisecond).String()
		}
		rows = append(rows, []string{strconv.Itoa(entry.ID), entry.Key, code, took})
	}
	if len(rows) == 0 {
		return nil
	}
	var text strings.Builder
	if err := printTable(&text, "ENTRY|KEY|EXIT CODE|TOOK", rows); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		fmt.Fprint(w.stdout, "  ", line)
	}
	return nil
}

func clockTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}
