package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/open-executor/executor/dev/imagetest/checks"
)

// maxOutput bounds what a command may write to each of its outputs.
const maxOutput = 1 << 20

// neverRun is the command of containers that are made for their files. They are not started; images without a command want one.
const neverRun = "never-run"

// create makes a container. Whoever calls it removes it.
func (e *Engine) create(ctx context.Context, run checks.Run) (id string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	ctx, cancel := lasting(ctx)
	defer cancel()
	created, err := e.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: &container.Config{
			Image: run.Image,
			Cmd:   run.Command,
			// One empty word leaves the image's entrypoint out.
			Entrypoint: []string{""},
			Env:        run.Env,
			User:       run.Options.User,
			Labels:     map[string]string{Label: e.run},
		},
		HostConfig: &container.HostConfig{
			Binds:      run.Options.Binds,
			Privileged: run.Options.Privileged,
			// The engine's own choice may be one that can't be read back.
			LogConfig: container.LogConfig{Type: "json-file"},
		},
	})
	if err != nil {
		return "", fmt.Errorf("making a container of %s: %w", run.Image, err)
	}
	return created.ID, nil
}

// remove removes a container with its volumes, running or not, even if ctx has ended.
func (e *Engine) remove(ctx context.Context, id string) error {
	ctx, cancel := lasting(ctx)
	defer cancel()
	_, err := e.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing container %s: %w", id, err)
	}
	return nil
}

// finish starts a container and waits for its end.
func (e *Engine) finish(ctx context.Context, id string) (exitCode int, err error) {
	if _, err := e.api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return 0, fmt.Errorf("starting the container: %w", err)
	}
	wait := e.api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	// The request ends with ctx, so one of both comes.
	select {
	case ended := <-wait.Result:
		if ended.Error != nil {
			return 0, fmt.Errorf("waiting for the container: %s", ended.Error.Message)
		}
		return int(ended.StatusCode), nil
	case err := <-wait.Error:
		return 0, fmt.Errorf("waiting for the container: %w", err)
	}
}

// Run implements checks.Engine.
func (e *Engine) Run(ctx context.Context, run checks.Run) (outcome checks.Outcome, err error) {
	id, err := e.create(ctx, run)
	if err != nil {
		return checks.Outcome{}, err
	}
	defer func() { err = errors.Join(err, e.remove(ctx, id)) }()
	if outcome.ExitCode, err = e.finish(ctx, id); err != nil {
		return checks.Outcome{}, err
	}
	outcome.Stdout, outcome.Stderr, err = e.output(ctx, id)
	return outcome, err
}

// output returns what a container that has ended wrote.
func (e *Engine) output(ctx context.Context, id string) (stdout, stderr string, err error) {
	logs, err := e.api.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return "", "", fmt.Errorf("reading the output: %w", err)
	}
	defer func() { _ = logs.Close() }()
	var out, errOut bounded
	if _, err := stdcopy.StdCopy(&out, &errOut, logs); err != nil {
		return "", "", fmt.Errorf("reading the output: %w", err)
	}
	return out.String(), errOut.String(), nil
}

// bounded is a buffer that refuses to grow beyond maxOutput.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxOutput {
		return 0, fmt.Errorf("the command wrote more than %d bytes", maxOutput)
	}
	return b.Buffer.Write(p)
}

// Snapshot implements checks.Engine.
func (e *Engine) Snapshot(ctx context.Context, run checks.Run) (image string, exitCode int, err error) {
	id, err := e.create(ctx, run)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, e.remove(ctx, id)) }()
	if exitCode, err = e.finish(ctx, id); err != nil {
		return "", 0, err
	}
	commit, cancel := lasting(ctx)
	defer cancel()
	committed, err := e.api.ContainerCommit(commit, id, client.ContainerCommitOptions{})
	if err != nil {
		return "", 0, fmt.Errorf("keeping what the command left: %w", err)
	}
	e.made = append(e.made, committed.ID)
	return committed.ID, exitCode, nil
}
