package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/sourcegraph/log"
	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/agent"
	"github.com/open-executor/executor/internal/install"
)

// installCommand installs what jobs need on this host. The parts that the reference has and we don't need any more are accepted, so that
// a script written for it goes on working.
func (p program) installCommand() *cli.Command {
	binDir := &cli.PathFlag{Name: "bin-dir", Value: install.DefaultBinDir, Usage: "where to put the program"}
	kernelFlags := []cli.Flag{
		&cli.PathFlag{Name: "from", Usage: "root of an unpacked kernel package, or / for an installed one; by default Debian's is downloaded with apt-get"},
		&cli.PathFlag{Name: "agent", Usage: "the guest agent's program vmagent; by default it is looked for beside this program and in /usr/lib/executor"},
	}
	return &cli.Command{
		Name:  "install",
		Usage: "installs what jobs need",
		Subcommands: []*cli.Command{
			{Name: "src-cli", Usage: "installs src at the version that the frontend recommends", Flags: []cli.Flag{binDir}, OnUsageError: usageError, Action: p.installSrc},
			{Name: "kernel", Usage: "makes the microVMs' kernel and initramfs in EXECUTOR_VM_DIR", Flags: kernelFlags, OnUsageError: usageError, Action: p.installKernel},
			{Name: "vm-image", Usage: "fetches the microVMs' root, EXECUTOR_FIRECRACKER_IMAGE", OnUsageError: usageError, Action: p.installImage},
			{Name: "firecracker", Usage: "installs Firecracker and its jailer", Flags: []cli.Flag{binDir}, OnUsageError: usageError, Action: p.installFirecracker},
			{Name: "all", Usage: "kernel, vm-image, src-cli, and, where there is /dev/kvm, firecracker", Flags: append(kernelFlags, binDir), OnUsageError: usageError, Action: p.installAll},
			{Name: "image", Hidden: true, OnUsageError: usageError, Action: p.installNamedImage},
			p.obsolete("ignite"), p.obsolete("cni"), p.obsolete("iptables-rules"),
		},
	}
}

// obsolete is a part of the reference that nothing here needs.
func (p program) obsolete(name string) *cli.Command {
	return &cli.Command{
		Name:            name,
		Hidden:          true,
		SkipFlagParsing: true,
		Action:          func(*cli.Context) error { return p.needless(name) },
	}
}

func (p program) needless(name string) error {
	_, err := fmt.Fprintf(p.stdout, "%s is not needed any more; nothing was installed\n", name)
	return err
}

func (p program) installFirecracker(c *cli.Context) error {
	release := install.Firecracker{Releases: install.FirecrackerReleases, Version: install.FirecrackerVersion}
	if err := release.Install(c.Context, c.Path("bin-dir")); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "Firecracker %s and its jailer are installed in %s\n", install.FirecrackerVersion, c.Path("bin-dir"))
	return err
}

// installNamedImage is "install image NAME" of the reference.
func (p program) installNamedImage(c *cli.Context) error {
	name := strings.ToLower(c.Args().First())
	switch {
	case c.NArg() == 0:
		return errors.New("no image specified")
	case c.NArg() > 1:
		return errors.New("too many arguments")
	case name == "executor-vm":
		return p.installImage(c)
	case name == "kernel":
		return p.installKernel(c)
	case name == "sandbox":
		return p.needless("the sandbox image")
	}
	return fmt.Errorf("unknown image %q; there are executor-vm, kernel and sandbox", c.Args().First())
}

func (p program) installAll(c *cli.Context) error {
	actions := []cli.ActionFunc{p.installKernel, p.installImage, p.installSrc}
	if _, err := os.Stat("/dev/kvm"); err == nil {
		actions = append(actions, p.installFirecracker)
	}
	for _, action := range actions {
		if err := action(c); err != nil {
			return err
		}
	}
	return nil
}

func (p program) installKernel(c *cli.Context) error {
	if p.configErr != nil {
		return p.configErr
	}
	dir := agent.KernelDir(p.config)
	if err := (install.Kernel{Tree: c.Path("from"), Agent: c.Path("agent"), Dir: dir}).Install(c.Context); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "the microVMs' kernel is installed in %s\n", dir)
	return err
}

func (p program) installImage(c *cli.Context) error {
	if p.configErr != nil {
		return p.configErr
	}
	if err := agent.FetchMachineImage(c.Context, p.config); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "%s is ready\n", p.config.Firecracker.Image)
	return err
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
