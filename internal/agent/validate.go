package agent

import (
	"context"
	"fmt"
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/runtime"
)

// Verify checks the tools that jobs need: they are there, git is new enough, and src fits the frontend (spec section 1.1).
func Verify(ctx context.Context, logger log.Logger, config executorconfig.Config, tools Tools) error {
	kind, err := chooseKind(config, tools)
	if err != nil {
		return err
	}
	if kind == runtime.Kubernetes {
		return tools.CheckGit(ctx)
	}
	needed := []string{"git"}
	if kind == runtime.Docker {
		needed = append(needed, "docker")
	}
	src := config.Runtime == executorconfig.RuntimeAuto
	if src {
		needed = append(needed, "src")
	}
	if err := tools.CheckPresent(needed...); err != nil {
		return err
	}
	if err := tools.CheckGit(ctx); err != nil {
		return err
	}
	if !src {
		return nil
	}
	return verifySrc(ctx, logger, config, tools)
}

func verifySrc(ctx context.Context, logger log.Logger, config executorconfig.Config, tools Tools) error {
	client, err := newQueueClient(logger, config, "executor-validate", api.Telemetry{}, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	recommended, err := client.SrcCLIVersion(ctx)
	if err != nil {
		return fmt.Errorf("asking the frontend for the recommended src version: %w", err)
	}
	warning, err := tools.CheckSrc(ctx, recommended)
	if warning != "" {
		logger.Warn(warning)
	}
	return err
}

// Validate is the command of that name: tools and the token, and a success line at the end (spec section 1.2).
func Validate(ctx context.Context, logger log.Logger, config executorconfig.Config, tools Tools, stdout io.Writer) error {
	if err := tools.CheckGit(ctx); err != nil {
		return err
	}
	if err := Verify(ctx, logger, config, tools); err != nil {
		return err
	}
	client, err := newQueueClient(logger, config, "executor-validate", api.Telemetry{}, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	if err := client.TestAuth(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, "All checks passed!")
	return err
}
