package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/apiclient"
	"github.com/open-executor/executor/internal/logview"
)

// watchFlags are the flags of commands that start a job.
func watchFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "show the job's log until it is over, and exit with its result"},
		&cli.BoolFlag{Name: "wait", Aliases: []string{"w"}, Usage: "wait until the job is over, and exit with its result"},
		&cli.BoolFlag{Name: "verbose", Usage: "with --follow: show preparations and clean-up like steps"},
	}
}

// started tells of a new job, and watches it as far as the flags ask for it.
func (w world) started(c *cli.Context, client *apiclient.Client, job jobs.Job) error {
	follow, wait := c.Bool("follow"), c.Bool("wait")
	switch {
	case !wantsJSON(c):
		fmt.Fprintf(w.stdout, "job %d is %s in queue %s\n", job.ID, job.State, job.Queue)
	case follow:
		if err := w.printLine(eventLine{"job", job}); err != nil {
			return err
		}
	case !wait:
		return w.printJSON(job)
	}
	switch {
	case follow:
		return w.follow(c, client, job.ID)
	case wait:
		return w.wait(c, client, job.ID)
	}
	return nil
}

// follow shows a job's log to its end.
func (w world) follow(c *cli.Context, client *apiclient.Client, id int64) error {
	show := logview.New(w.stdout, logview.Options{Color: logview.ColorWanted(w.stdout, w.env), Verbose: c.Bool("verbose")}).Handle
	if wantsJSON(c) {
		show = func(event apiclient.Event) error {
			return w.printLine(eventLine{event.Name, event.Data})
		}
	}
	end, err := client.Follow(c.Context, id, apiclient.Position{}, show)
	return result(id, end, err)
}

// wait waits for a job's end and prints the job as it is then.
func (w world) wait(c *cli.Context, client *apiclient.Client, id int64) error {
	end, err := client.Follow(c.Context, id, apiclient.Position{}, func(apiclient.Event) error { return nil })
	if err != nil {
		return result(id, end, err)
	}
	if wantsJSON(c) {
		job, err := client.Job(c.Context, id)
		if err != nil {
			return err
		}
		return errors.Join(w.printJSON(job), result(id, end, nil))
	}
	why := ""
	if end.Reason != "" {
		why = ": " + cell(end.Reason)
	}
	fmt.Fprintf(w.stdout, "job %d is %s%s\n", id, end.State, why)
	return result(id, end, nil)
}

// result turns a job's end into the program's.
func result(id int64, end jobs.StateEvent, err error) error {
	switch {
	case errors.Is(err, errInterrupted):
		return fmt.Errorf("%w; job %d goes on: execctl logs -f %d shows it, execctl cancel %d stops it", err, id, id, id)
	case err != nil:
		return err
	case end.State != jobs.Completed:
		return errJobNotCompleted
	}
	return nil
}

// eventLine is a line of a followed log as JSON: an event of the API, or "job", which comes first and is the job itself.
type eventLine struct {
	Event string `json:"event"`
	Data  any    `json:"data"`
}

func (w world) printLine(event eventLine) error {
	line, err := json.Marshal(event)
	if err != nil {
		return err
	}
	_, err = w.stdout.Write(append(line, '\n'))
	return err
}
