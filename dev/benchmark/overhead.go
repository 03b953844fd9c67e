package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
)

// stepsPerJob is how many steps one round has; their cost is the time from one step's start to the next one's.
const stepsPerJob = 3

// maxOverhead is what a step may cost beyond the bare docker run.
const maxOverhead = 250 * time.Millisecond

// overhead compares, in turn, what a step of a job takes with the bare docker run of the same container.
func overhead(ctx context.Context, runs int) (err error) {
	image := os.Getenv("EXECUTOR_TEST_IMAGE")
	if image == "" {
		return errors.New("EXECUTOR_TEST_IMAGE is not set; call dev/bench, which makes the image")
	}
	rig, err := newRig(ctx, "docker")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rig.close()) }()
	dir, err := os.MkdirTemp("", "benchmark-bare-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "step.sh"), []byte("true\n"), 0o755); err != nil {
		return err
	}
	bareRun := []string{"run", "--rm", "--init", "--log-driver", "none", "--pids-limit", "4096", "--memory", "12G",
		"-v", dir + ":/data", "-w", "/data", "--entrypoint", "/bin/sh", image, "/data/step.sh"}

	spec := jobs.Spec{Queue: "default"}
	for i := range stepsPerJob + 1 {
		spec.Steps = append(spec.Steps, jobs.Step{Key: fmt.Sprint(i), Image: image, Run: []string{"true"}})
	}
	var steps, bare []time.Duration
	for i := range runs + 1 {
		job, err := rig.runJob(ctx, spec)
		if err != nil {
			return err
		}
		var round []time.Duration
		for range stepsPerJob {
			took, err := timed(ctx, "docker", bareRun...)
			if err != nil {
				return err
			}
			round = append(round, took)
		}
		if i == 0 {
			continue // the first round warms caches
		}
		steps = append(steps, stepTimes(job)...)
		bare = append(bare, round...)
	}
	report("Docker step", steps, "bare docker run", bare)
	over := quantile(steps, 0.5) - quantile(bare, 0.5)
	fmt.Printf("overhead per step, median: %s (bound %s)\n", over.Round(time.Millisecond), maxOverhead)
	if over > maxOverhead {
		return fmt.Errorf("a step costs %s more than the bare docker run; the bound is %s", over, maxOverhead)
	}
	return nil
}

// stepTimes are the times from one step's start to the next one's, so that all that a step costs is in them.
func stepTimes(job jobs.Job) []time.Duration {
	var starts []time.Time
	for _, entry := range job.Attempts[len(job.Attempts)-1].Entries {
		if len(entry.Key) > 5 && entry.Key[:5] == "step." {
			starts = append(starts, entry.StartedAt)
		}
	}
	var times []time.Duration
	for i := 1; i < len(starts); i++ {
		times = append(times, starts[i].Sub(starts[i-1]))
	}
	return times
}

// timed runs a program and returns how long it took.
func timed(ctx context.Context, program string, args ...string) (time.Duration, error) {
	began := time.Now()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	took := time.Since(began)
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return took, nil
}
