package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
)

// stamp finds what the step printed: nanoseconds since 1970.
var stamp = regexp.MustCompile(`stdout: started ([0-9]+)`)

// dispatch measures from the submission's begin to the first command of the step, both on this machine's clock, and, for the ratio,
// the bare cost of starting a shell that tells the time.
func dispatch(ctx context.Context, runs int) (err error) {
	rig, err := newRig(ctx, "shell")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rig.close()) }()
	spec := jobs.Spec{Queue: "default", Steps: []jobs.Step{{Key: "start", Image: "none", Run: []string{`echo "started $(date +%s%N)"`}}}}
	var measured, bare []time.Duration
	for i := range runs + 1 {
		began := time.Now()
		job, err := rig.runJob(ctx, spec)
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := rig.client.Log(ctx, job.ID, 0, &out); err != nil {
			return err
		}
		found := stamp.FindSubmatch(out.Bytes())
		if found == nil {
			return fmt.Errorf("job %d printed no time: %s", job.ID, out.Bytes())
		}
		started, err := strconv.ParseInt(string(found[1]), 10, 64)
		if err != nil {
			return err
		}
		shell, err := timed(ctx, "/bin/sh", "-c", `echo "started $(date +%s%N)"`)
		if err != nil {
			return err
		}
		if i == 0 {
			continue // the first round warms caches
		}
		measured = append(measured, time.Unix(0, started).Sub(began))
		bare = append(bare, shell)
	}
	report("submit → step start", measured, "bare shell", bare)
	return nil
}
