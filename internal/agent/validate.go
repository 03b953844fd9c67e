package agent

import (
	"context"
	"fmt"
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/queueclient"
	"github.com/open-executor/executor/internal/runtime"
)

// Verify checks the tools that jobs need: they are there, git is new enough, and src fits the frontend (spec section 1.1).
func Verify(ctx context.Context, logger log.Logger, config executorconfig.Config, tools Tools) error {
	return withClient(logger, config, func(client *queueclient.Client) error {
		return verify(ctx, logger, config, tools, client)
	})
}

// Validate is the command of that name: tools and the token, and a success line at the end (spec section 1.2).
func Validate(ctx context.Context, logger log.Logger, config executorconfig.Config, tools Tools, stdout io.Writer) error {
	return withClient(logger, config, func(client *queueclient.Client) error {
		if err := verify(ctx, logger, config, tools, client); err != nil {
			return err
		}
		if err := client.TestAuth(ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintln(stdout, "All checks passed!")
		return err
	})
}

// withClient lends a client that takes no jobs.
func withClient(logger log.Logger, config executorconfig.Config, use func(*queueclient.Client) error) error {
	client, release, err := newQueueClient(logger, config, "executor-validate", api.Telemetry{}, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	defer release()
	return use(client)
}

func verify(ctx context.Context, logger log.Logger, config executorconfig.Config, tools Tools, client *queueclient.Client) error {
	// A runtime that can't be had whatever is installed comes first, then all missing tools at once, each with its hint.
	everything := Tools{LookPath: func(name string) (string, error) { return name, nil }}
	kind, err := chooseKind(config, everything)
	if err != nil {
		return err
	}
	needed := []string{"git"}
	switch kind {
	case runtime.Docker:
		needed = append(needed, "docker")
	case runtime.Firecracker:
		needed = append(needed, machinePrograms(config)...)
	}
	// Who names the runtime may do without src: only src steps need it, and they say so. That of microVMs lies in their image.
	src := config.Runtime == executorconfig.RuntimeAuto && kind != runtime.Firecracker
	if src {
		needed = append(needed, "src")
	}
	if err := tools.CheckPresent(needed...); err != nil {
		return err
	}
	if err := tools.CheckGit(ctx); err != nil {
		return err
	}
	if kind == runtime.Firecracker {
		if err := checkMachines(ctx, logger, config); err != nil {
			return err
		}
	}
	if !src {
		return nil
	}
	return verifySrc(ctx, logger, tools, client)
}

// RecommendedSrc asks the frontend which version of src it recommends.
func RecommendedSrc(ctx context.Context, logger log.Logger, config executorconfig.Config) (recommended string, err error) {
	err = withClient(logger, config, func(client *queueclient.Client) error {
		recommended, err = askForSrc(ctx, client)
		return err
	})
	return recommended, err
}

func askForSrc(ctx context.Context, client *queueclient.Client) (string, error) {
	recommended, err := client.SrcCLIVersion(ctx)
	if err != nil {
		return "", fmt.Errorf("asking the frontend for the recommended src version: %w", err)
	}
	return recommended, nil
}

func verifySrc(ctx context.Context, logger log.Logger, tools Tools, client *queueclient.Client) error {
	recommended, err := askForSrc(ctx, client)
	if err != nil {
		return err
	}
	warning, err := tools.CheckSrc(ctx, recommended)
	if warning != "" {
		logger.Warn(warning)
	}
	return err
}
