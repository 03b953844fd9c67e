package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sourcegraph/log"
	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/apiclient"
	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/config/frontendconfig"
	"github.com/open-executor/executor/internal/jobfile"
	"github.com/open-executor/executor/internal/lifecycle"
	"github.com/open-executor/executor/internal/runtime/docker"
)

func runCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "runs one job file, shows its log, and exits with its result",
		ArgsUsage: "FILE",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "repo", Usage: "serve a repository to the job, as `NAME=PATH`; may be given again"},
			&cli.StringFlag{Name: "runtime", Value: "auto", Usage: "where steps run: auto, docker, firecracker (a microVM per job), or shell (this host, without isolation)"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usageError{fmt.Errorf("run wants one job file, got %d arguments; flags stand before or after it", c.NArg())}
			}
			return runJobFile(c.Context, c.Args().First(), c.StringSlice("repo"), c.String("runtime"), stdout, stderr)
		},
	}
}

// runJobFile runs a job on a temporary store; nothing of it stays.
func runJobFile(ctx context.Context, file string, repos []string, runtimeName string, stdout, stderr io.Writer) error {
	spec, err := readJobFile(file)
	if err != nil {
		return usageError{err}
	}
	repositories, err := parseRepos(repos)
	if err != nil {
		return usageError{err}
	}
	wanted, err := runtimeFlag(runtimeName)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	interrupts := newInterrupts(stop)
	release := lifecycle.OnSignals(log.Scoped("standalone"), announced(stderr, interrupts.steps()))
	defer release()

	place, err := placeForJob(ctx, wanted, docker.NewEngine(&command.Runner{}), spec, stderr)
	if err != nil {
		return err
	}
	scratch, err := newScratch(os.TempDir())
	if err != nil {
		return fmt.Errorf("making a place for the job's store: %w", err)
	}
	both, err := start(ctx, map[string]string{
		"FRONTEND_DATA_DIR":     scratch.dir,
		"FRONTEND_LISTEN_ADDR":  "127.0.0.1:0",
		"FRONTEND_DATABASE_URL": "sqlite:",
		"FRONTEND_API_TOKEN":    "",
	}, func(settings *frontendconfig.Config) {
		if settings.Repositories == nil {
			settings.Repositories = make(map[string]frontendconfig.Repository)
		}
		for name, path := range repositories {
			settings.Repositories[name] = frontendconfig.Repository{Path: path}
		}
	}, place, spec.Queue)
	if err != nil {
		return errors.Join(err, scratch.remove())
	}
	result := both.runOne(ctx, spec, interrupts, stdout)
	return errors.Join(result, both.stop(), scratch.remove())
}

func readJobFile(file string) (jobs.Spec, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return jobs.Spec{}, err
	}
	return jobfile.Parse(file, data, jobfile.Options{Env: os.LookupEnv})
}

// parseRepos reads NAME=PATH pairs; paths become absolute.
func parseRepos(pairs []string) (map[string]string, error) {
	repositories := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		name, path, ok := strings.Cut(pair, "=")
		if !ok || name == "" || path == "" {
			return nil, fmt.Errorf("--repo %q: want NAME=PATH", pair)
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			return nil, fmt.Errorf("--repo %q: %w", pair, err)
		}
		if info, err := os.Stat(absolute); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("--repo %q: there is no directory %s", pair, absolute)
		}
		repositories[name] = absolute
	}
	return repositories, nil
}

// runOne submits the job and shows its log to the end. The first interrupt cancels the job, the second ends the context.
func (h *halves) runOne(ctx context.Context, spec jobs.Spec, interrupts *interrupts, stdout io.Writer) error {
	client, err := apiclient.New("http://"+reachable(h.frontend.Address()), h.frontend.APIToken(), apiclient.Config{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-h.ended:
			h.ended <- err
			cancel(errExecutorEnded(err))
		case <-ctx.Done():
		}
	}()
	job, err := client.Submit(ctx, spec)
	var refused *apiclient.Error
	if errors.As(err, &refused) && refused.Status/100 == 4 {
		if refused.Answer.Field == "repository" {
			err = fmt.Errorf("%w (--repo %s=PATH serves one to the job)", err, spec.Repository.Name)
		}
		return usageError{err}
	}
	if err != nil {
		return err
	}
	interrupts.cancelJob(func() error {
		_, err := client.Cancel(ctx, job.ID)
		return err
	})
	return follow(ctx, client, job.ID, stdout)
}
