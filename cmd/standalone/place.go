package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/fault"
)

// engine is the Docker engine as far as the choice needs it.
type engine interface {
	Available(ctx context.Context) error
	Ensure(ctx context.Context, image string) error
}

// engineTime bounds the first question to the engine, and imageTime the pull of one image.
const (
	engineTime = 15 * time.Second
	imageTime  = 10 * time.Minute
)

// runtimeFlag checks the value of --runtime.
func runtimeFlag(value string) (executorconfig.Runtime, error) {
	wanted := executorconfig.Runtime(value)
	if slices.Contains([]executorconfig.Runtime{executorconfig.RuntimeAuto, executorconfig.RuntimeDocker, executorconfig.RuntimeFirecracker, executorconfig.RuntimeShell}, wanted) {
		return wanted, nil
	}
	return "", usageError{fmt.Errorf("--runtime %q: standalone knows auto, docker, firecracker and shell", value)}
}

// placeForJob decides where the steps of a local job file run. With auto that is Docker when an engine answers and has, or can
// pull, every image of the job; else it is this host, which stderr is told plainly.
func placeForJob(ctx context.Context, wanted executorconfig.Runtime, engine engine, spec jobs.Spec, stderr io.Writer) (executorconfig.Runtime, error) {
	if wanted == executorconfig.RuntimeShell || wanted == executorconfig.RuntimeFirecracker {
		return wanted, nil
	}
	err := dockerServes(ctx, engine, images(spec))
	switch {
	case err == nil:
		return executorconfig.RuntimeDocker, nil
	case wanted == executorconfig.RuntimeDocker:
		return "", fault.As(fault.Operator, err)
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	}
	fmt.Fprintf(stderr, "No container can run here: %s\n", err)
	fmt.Fprintln(stderr, "The steps now run on this host, WITHOUT ISOLATION and without their images. (--runtime docker refuses instead.)")
	return executorconfig.RuntimeShell, nil
}

// placeForAnyJob decides for jobs that are not known yet: they come from others, so nothing but a container will do unless the
// shell is asked for by name.
func placeForAnyJob(ctx context.Context, wanted executorconfig.Runtime, engine engine) (executorconfig.Runtime, error) {
	if wanted == executorconfig.RuntimeShell || wanted == executorconfig.RuntimeFirecracker {
		return wanted, nil
	}
	if err := dockerServes(ctx, engine, nil); err != nil {
		return "", fault.Operatorf("%w; start a Docker engine, or choose --runtime shell to run jobs on this host without isolation", err)
	}
	return executorconfig.RuntimeDocker, nil
}

func dockerServes(ctx context.Context, engine engine, images []string) error {
	answer, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	if err := engine.Available(answer); err != nil {
		return fmt.Errorf("no Docker engine answers: %w", err)
	}
	for _, image := range images {
		pull, cancel := context.WithTimeout(ctx, imageTime)
		err := engine.Ensure(pull, image)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// images lists the images of a job, each once.
func images(spec jobs.Spec) []string {
	var all []string
	for _, step := range spec.Steps {
		if step.Image != "" && !slices.Contains(all, step.Image) {
			all = append(all, step.Image)
		}
	}
	return all
}
