package main

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/apiclient"
)

// pageSize is the largest page that the API gives.
const pageSize = 500

func listCommand(w world) *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list jobs, newest first",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "queue", Usage: "only jobs of this `QUEUE`"},
			&cli.StringSliceFlag{Name: "state", Usage: "only jobs in this `STATE` (queued, processing, errored, completed, failed, canceled); may be given again"},
			&cli.IntFlag{Name: "limit", Value: 50, Usage: "at most `N` jobs"},
		},
		Action: w.aboutAll(func(c *cli.Context, client *apiclient.Client) error {
			list, err := listJobs(c, client)
			return printAnswer(w, c, list, err, w.printJobs)
		}),
	}
}

// listJobs goes through as many pages as the limit asks for.
func listJobs(c *cli.Context, client *apiclient.Client) (jobs.JobList, error) {
	all := jobs.JobList{Jobs: []jobs.Job{}}
	if c.Int("limit") <= 0 {
		return all, usageError{fmt.Errorf("--limit %d: wants a positive number", c.Int("limit"))}
	}
	for _, state := range c.StringSlice("state") {
		if !slices.Contains(jobs.States(), jobs.State(state)) {
			return all, usageError{fmt.Errorf("--state %q: wants one of %v", state, jobs.States())}
		}
	}
	filter := apiclient.Filter{Queue: c.String("queue"), States: c.StringSlice("state")}
	for {
		filter.Limit = min(c.Int("limit")-len(all.Jobs), pageSize)
		page, err := client.List(c.Context, filter)
		if err != nil {
			return all, err
		}
		all.Jobs = append(all.Jobs, page.Jobs...)
		all.Next, filter.Cursor = page.Next, page.Next
		if page.Next == "" || len(all.Jobs) >= c.Int("limit") {
			return all, nil
		}
	}
}

func (w world) printJobs(list jobs.JobList) error {
	var rows [][]string
	for _, job := range list.Jobs {
		rows = append(rows, []string{
			strconv.FormatInt(job.ID, 10), job.Queue, stateOf(job), span(w.now().Sub(job.QueuedAt)),
			w.ran(job.StartedAt, job.FinishedAt), job.Executor, job.Reason,
		})
	}
	return printTable(w.stdout, "JOB|QUEUE|STATE|AGE|RAN|EXECUTOR|REASON", rows)
}

func stateOf(job jobs.Job) string {
	if job.Canceling {
		return "canceling"
	}
	return string(job.State)
}
