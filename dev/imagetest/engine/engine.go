// Package engine makes containers for image tests over the Docker Engine API. Everything it makes carries a label, and is removed when
// its test or the engine ends, also when their context has ended before.
package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/open-executor/executor/dev/imagetest/checks"
)

// Label is on every container and image that is made here; its value is the run.
const Label = "open-executor.imagetest"

// lastingLimit bounds each request that must not be cut off: the engine would go on with it, and nobody would know what it made.
const lastingLimit = time.Minute

// lasting returns a context for such a request.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), lastingLimit)
}

// Engine is an engine in use by one run. It must be closed. Its methods are not to be called at the same time.
type Engine struct {
	api *client.Client
	run string
	// made are images to be removed, the newest last.
	made []string
}

// Open finds the engine that the docker client would use (DOCKER_HOST and so on) and agrees with it on a version of the API. The run's name
// is part of image names: lower-case letters and digits.
func Open(ctx context.Context, run string, options ...client.Opt) (*Engine, error) {
	api, err := client.New(append([]client.Opt{client.FromEnv}, options...)...)
	if err != nil {
		return nil, fmt.Errorf("setting up a client of the Docker engine: %w", err)
	}
	ping, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := api.Ping(ping, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return nil, errors.Join(fmt.Errorf("no Docker engine at %s: %w", api.DaemonHost(), err), api.Close())
	}
	return &Engine{api: api, run: run}, nil
}

// Version is that of the API which was agreed on.
func (e *Engine) Version() string { return e.api.ClientVersion() }

// Close removes the images that were made or loaded. Names that were there before are as they were.
func (e *Engine) Close() error {
	var failures []error
	for _, image := range slices.Backward(e.made) {
		ctx, cancel := lasting(context.Background())
		_, err := e.api.ImageRemove(ctx, image, client.ImageRemoveOptions{PruneChildren: true})
		cancel()
		// Images that a newer one was made of go with it.
		if err != nil && !errdefs.IsNotFound(err) {
			failures = append(failures, fmt.Errorf("removing image %s: %w", image, err))
		}
	}
	return errors.Join(append(failures, e.api.Close())...)
}

// Config implements checks.Engine.
func (e *Engine) Config(ctx context.Context, image string) (checks.Config, error) {
	inspected, err := e.api.ImageInspect(ctx, image)
	if errdefs.IsNotFound(err) {
		return checks.Config{}, fmt.Errorf("the engine has no image %s", image)
	}
	if err != nil {
		return checks.Config{}, fmt.Errorf("inspecting image %s: %w", image, err)
	}
	if inspected.Config == nil {
		return checks.Config{}, fmt.Errorf("image %s has no configuration", image)
	}
	from := inspected.Config
	config := checks.Config{
		Cmd: from.Cmd, Entrypoint: from.Entrypoint, Env: make(map[string]string), Labels: from.Labels, User: from.User, Workdir: from.WorkingDir,
	}
	for _, entry := range from.Env {
		key, value, _ := strings.Cut(entry, "=")
		config.Env[key] = value
	}
	for port := range from.ExposedPorts {
		number, _, _ := strings.Cut(port, "/")
		config.Ports = append(config.Ports, number)
	}
	for volume := range from.Volumes {
		config.Volumes = append(config.Volumes, volume)
	}
	return config, nil
}
