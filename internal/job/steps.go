package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
)

// step is a planned step and how its failure is told.
type step struct {
	runtime.Step
	// failure begins the error text.
	failure string
	// skips is true when the step may end in a skip file.
	skips bool
}

const (
	srcPrefix = "step.src."
	// skipFile is what a ".pre" step leaves to jump over steps (spec section 4.4).
	skipFile      = "skip.json"
	skipFileLimit = 64 << 10
)

// plan turns a job into its steps, in order: container steps, then src steps. A job with src steps follows the reference's older
// path: other error texts, no skipping.
func plan(job api.Job, prefix string, scripts []string) ([]step, error) {
	if len(scripts) != len(job.DockerSteps) {
		return nil, fmt.Errorf("%d scripts for %d steps", len(scripts), len(job.DockerSteps))
	}
	withSrc := len(job.CliSteps) > 0
	var steps []step
	for i, docker := range job.DockerSteps {
		key := prefix + keyOr(docker.Key, i)
		planned := step{
			Step: runtime.Step{
				Key:    key,
				Image:  docker.Image,
				Script: scripts[i],
				Dir:    docker.Dir,
				Env:    docker.Env,
			},
			failure: fmt.Sprintf("running command %q", key),
			skips:   !withSrc && strings.HasSuffix(key, ".pre"),
		}
		if docker.Image == "" {
			return nil, fault.Userf("step %q has no image", key)
		}
		if withSrc {
			planned.failure = "failed to perform docker step"
		}
		steps = append(steps, planned)
	}
	for i, src := range job.CliSteps {
		steps = append(steps, step{
			Step: runtime.Step{
				Key:     srcPrefix + keyOr(src.Key, i),
				Command: append([]string{"src"}, src.Commands...),
				Dir:     src.Dir,
				Env:     src.Env,
			},
			failure: "failed to perform src-cli step",
		})
	}
	return steps, nil
}

// keyOr is the step's key or, without one, its index.
func keyOr(key string, index int) string {
	if key == "" {
		return strconv.Itoa(index)
	}
	return key
}

// runSteps runs the steps in order, jumping where a skip file says so. Prefix begins the keys of container steps.
func runSteps(ctx context.Context, session runtime.Session, prefix string, steps []step) error {
	for i := 0; i < len(steps); i++ {
		if err := session.Run(ctx, steps[i].Step); err != nil {
			return fmt.Errorf("%s: %w", steps[i].failure, err)
		}
		if !steps[i].skips {
			continue
		}
		next, err := takeSkip(ctx, session)
		if err != nil {
			return fmt.Errorf("checking for skip file: %w", err)
		}
		if next != "" {
			i = indexOf(steps, prefix+next, i+1) - 1
		}
	}
	return nil
}

// takeSkip reads and removes the skip file at the workspace's root; it returns the key of the step to go on with, without its
// prefix, or "" to go on with the next.
func takeSkip(ctx context.Context, session runtime.Session) (string, error) {
	raw, err := session.TakeFile(ctx, skipFile, skipFileLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var skip struct {
		NextStep string `json:"nextStep"`
	}
	if err := json.Unmarshal(raw, &skip); err != nil {
		return "", fault.Userf("%s is not valid JSON: %w", skipFile, err)
	}
	return skip.NextStep, nil
}

// indexOf finds the step with a key, from an index on. Without a match everything that is left is skipped, and the job succeeds
// (spec section 4.4).
func indexOf(steps []step, key string, from int) int {
	for i := from; i < len(steps); i++ {
		if steps[i].Key == key {
			return i
		}
	}
	return len(steps)
}
