package agent

import (
	"context"
	"errors"
	"time"

	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/docker"
	"github.com/open-executor/executor/internal/runtime/microvm"
	"github.com/open-executor/executor/internal/runtime/selection"
	"github.com/open-executor/executor/internal/runtime/shell"
)

// chooseKind picks the runtime that the configuration and this host allow.
func chooseKind(config executorconfig.Config, tools Tools) (runtime.Kind, error) {
	return selection.Choose(selection.Input{
		Wanted:         string(config.Runtime),
		UseFirecracker: config.Firecracker.Enabled,
		InKubernetes:   config.InKubernetes,
		LookPath:       tools.LookPath,
	})
}

// engineOf is what an owner's record says of a runtime: which engine may still hold something of an executor that died.
func engineOf(kind runtime.Kind) string {
	switch kind {
	case runtime.Docker:
		return docker.EngineName
	case runtime.Firecracker:
		return microvm.EngineName
	}
	return ""
}

// holdings are what a place holds, to be let go in the opposite order.
type holdings []func() error

func (h *holdings) add(release func() error) { *h = append(*h, release) }

func (h holdings) release() error {
	var all error
	for i := range h {
		all = errors.Join(all, h[len(h)-1-i]())
	}
	return all
}

// bounded gives a function the time that it may take.
func bounded(limit time.Duration, do func(context.Context) error) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		return do(ctx)
	}
}

// place is a runtime, and how to let go of what it holds once its sessions are closed.
type place struct {
	runtime.Runtime
	release func() error
	// orphans are jobs of an executor before this one.
	orphans []runtime.Orphan
}

func (a *Agent) makePlace(ctx context.Context, kind runtime.Kind, claim *owner.Claim) (place, error) {
	switch kind {
	case runtime.Firecracker:
		return a.makeMachines(ctx, claim)
	case runtime.Kubernetes:
		return a.makePods(ctx, claim)
	}
	made, err := a.makeRuntime(kind, claim)
	return place{Runtime: made, release: func() error { return nil }}, err
}

func (a *Agent) makeRuntime(kind runtime.Kind, claim *owner.Claim) (runtime.Runtime, error) {
	jobs, engine := a.config.Jobs, a.config.Docker
	// 0 is "at once" in the environment and the default in the options.
	grace := max(jobs.StopGracePeriod, time.Nanosecond)
	switch kind {
	case runtime.Shell:
		a.logger.Info("steps run on this host without isolation, as EXECUTOR_RUNTIME=shell asks for")
		return shell.New(a.runner, claim, shell.Options{Grace: grace})
	case runtime.Docker:
		pids := engine.PidsLimit
		if pids == 0 {
			// 0 is no limit in the environment and the default in the options.
			pids = -1
		}
		var mounts []string
		for _, mount := range engine.AdditionalMounts {
			mounts = append(mounts, mount.String())
		}
		return docker.New(a.logger, a.runner, claim, docker.Options{
			CPUs:           jobs.NumCPUs,
			Memory:         jobs.Memory,
			PidsLimit:      pids,
			AddHostGateway: engine.AddHostGateway,
			Mounts:         mounts,
			HostMountPath:  engine.HostMountPath,
			Grace:          grace,
			TempDir:        a.config.TempDir,
		})
	}
	return nil, fault.Operatorf("runtime %q is not in this build; set EXECUTOR_RUNTIME=docker", kind)
}
