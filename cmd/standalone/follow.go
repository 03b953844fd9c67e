package main

import (
	"context"
	"io"
	"os"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/apiclient"
	"github.com/open-executor/executor/internal/logview"
)

// follow shows the job's log to its end; errJobFailed says that the job did not succeed.
func follow(ctx context.Context, client *apiclient.Client, id int64, stdout io.Writer) error {
	view := logview.New(stdout, logview.Options{Color: logview.ColorWanted(stdout, os.LookupEnv)})
	end, err := client.Follow(ctx, id, apiclient.Position{}, view.Handle)
	if err != nil {
		return err
	}
	if end.State != jobs.Completed {
		return errJobFailed
	}
	return nil
}
