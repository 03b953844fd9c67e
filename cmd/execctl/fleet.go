package main

import (
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/apiclient"
)

func executorsCommand(w world) *cli.Command {
	return &cli.Command{
		Name:  "executors",
		Usage: "list executors, the newest first",
		Action: w.aboutAll(func(c *cli.Context, client *apiclient.Client) error {
			list, err := client.Executors(c.Context)
			return printAnswer(w, c, list, err, w.printExecutors)
		}),
	}
}

func (w world) printExecutors(list []jobs.Executor) error {
	var rows [][]string
	for _, executor := range list {
		state := "gone"
		if executor.Active {
			state = "active"
		}
		var held []string
		for _, id := range executor.Jobs {
			held = append(held, strconv.FormatInt(id, 10))
		}
		rows = append(rows, []string{
			executor.Name, state, strings.Join(executor.Queues, ","), executor.Version, executor.Compatibility,
			span(w.now().Sub(executor.LastSeenAt)), strings.Join(held, ","),
		})
	}
	return printTable(w.stdout, "EXECUTOR|STATE|QUEUES|VERSION|COMPATIBILITY|LAST SEEN|JOBS", rows)
}

func queuesCommand(w world) *cli.Command {
	return &cli.Command{
		Name:  "queues",
		Usage: "list queues with what waits and runs",
		Action: w.aboutAll(func(c *cli.Context, client *apiclient.Client) error {
			list, err := client.Queues(c.Context)
			return printAnswer(w, c, list, err, w.printQueues)
		}),
	}
}

func (w world) printQueues(list []jobs.Queue) error {
	var rows [][]string
	for _, queue := range list {
		rows = append(rows, []string{queue.Name, strconv.Itoa(queue.Queued), strconv.Itoa(queue.Processing), strconv.Itoa(queue.Executors)})
	}
	return printTable(w.stdout, "QUEUE|QUEUED|PROCESSING|EXECUTORS", rows)
}
