package main

import (
	"fmt"
	"runtime"

	"github.com/sourcegraph/log"
	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/agent"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/install"
)

// installCommand installs what jobs need on this host. The parts of the microVM runtime are named, so that a script written for the
// reference is told what is missing.
func (p program) installCommand() *cli.Command {
	command := &cli.Command{
		Name:  "install",
		Usage: "installs tools that jobs need",
		Subcommands: []*cli.Command{{
			Name:         "src-cli",
			Usage:        "installs src at the version that the frontend recommends",
			Flags:        []cli.Flag{&cli.PathFlag{Name: "bin-dir", Value: install.DefaultBinDir, Usage: "where to put the program"}},
			OnUsageError: usageError,
			Action:       p.installSrc,
		}},
	}
	for _, part := range []string{"ignite", "cni", "iptables-rules", "image", "all"} {
		command.Subcommands = append(command.Subcommands, missing(part, "install "+part))
	}
	return command
}

// missing is a command of the microVM runtime.
func missing(name, words string) *cli.Command {
	return &cli.Command{
		Name:            name,
		Hidden:          true,
		SkipFlagParsing: true,
		Action: func(*cli.Context) error {
			return fault.Operatorf("executor %s belongs to the microVM runtime, which is not in this build; set EXECUTOR_RUNTIME=docker", words)
		},
	}
}

func (p program) installSrc(c *cli.Context) error {
	logger := log.Scoped("install")
	version := install.MinSrc
	if p.configErr != nil {
		logger.Warn("no frontend to ask for the recommended src version, installing the oldest one that fits", log.String("version", version))
	} else {
		recommended, err := agent.RecommendedSrc(c.Context, logger, p.config)
		if err != nil {
			return err
		}
		version = recommended
	}
	src := install.Src{Releases: install.SrcReleases, Version: version, OS: runtime.GOOS, Arch: runtime.GOARCH}
	if err := src.Install(c.Context, c.Path("bin-dir")); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "src %s is installed in %s\n", version, c.Path("bin-dir"))
	return err
}
