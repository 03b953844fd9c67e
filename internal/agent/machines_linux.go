package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime/microvm"
	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/boot"
	"github.com/open-executor/executor/internal/vm/firecracker"
	"github.com/open-executor/executor/internal/vm/network"
	"github.com/open-executor/executor/internal/vm/qemu"
)

// closeTime bounds the removal of the machines' network.
const closeTime = 30 * time.Second

func kernelFile(config executorconfig.Config) string {
	return filepath.Join(KernelDir(config), boot.KernelFile)
}

func initramfsFile(config executorconfig.Config) string {
	return filepath.Join(KernelDir(config), boot.InitramfsFile)
}

// checkKernel makes sure that there is something to boot.
func checkKernel(config executorconfig.Config) error {
	for _, file := range []string{kernelFile(config), initramfsFile(config)} {
		if _, err := os.Stat(file); err != nil {
			return fault.Operatorf("the microVMs have no kernel yet: %w; run executor install kernel, or set EXECUTOR_USE_FIRECRACKER=false to run jobs without microVMs", err)
		}
	}
	return nil
}

// checkMachines makes sure that machines can be started, as far as that shows without starting one, and warns of what may keep them from the internet.
func checkMachines(ctx context.Context, logger log.Logger, config executorconfig.Config) error {
	if err := checkKernel(config); err != nil {
		return err
	}
	if !config.Firecracker.Network {
		return nil
	}
	if _, err := network.ParseRules(config.Firecracker.EgressAllow); err != nil {
		return err
	}
	if err := network.Allowed(); err != nil {
		return fmt.Errorf("%w (or set EXECUTOR_VM_NETWORK=none)", err)
	}
	blocked, err := network.ForwardingBlocked(ctx)
	for _, sentence := range blocked {
		logger.Warn(sentence)
	}
	return err
}

// machinePrograms are what the configured machines need of this host, besides what every job needs.
func machinePrograms(config executorconfig.Config) []string {
	programs := []string{"mke2fs", "sqfstar", qemu.Program}
	if config.Firecracker.Network {
		programs = append(programs, "nft")
	}
	return programs
}

// makeMachines makes the microVM runtime of the configuration.
func (a *Agent) makeMachines(ctx context.Context, claim *owner.Claim) (_ place, err error) {
	cfg := a.config.Firecracker
	for _, name := range cfg.Ignored {
		a.logger.Warn("this variable has no meaning any more and is ignored (docs/microvm.md)", log.String("variable", name))
	}
	if len(a.config.Docker.AdditionalMounts) > 0 {
		a.logger.Warn("microVMs have no mounts of this host, so EXECUTOR_DOCKER_ADDITIONAL_MOUNTS has no effect")
	}
	if err := checkKernel(a.config); err != nil {
		return place{}, err
	}
	var held holdings
	defer func() {
		if err != nil {
			err = errors.Join(err, held.release())
		}
	}()
	images, err := newImages(a.config)
	if err != nil {
		return place{}, err
	}
	held.add(images.Close)
	made, err := a.makeDriver(ctx, &held)
	if err != nil {
		return place{}, err
	}
	networks, err := a.makeNetworks(ctx, made.named, &held)
	if err != nil {
		return place{}, err
	}
	jobs := a.config.Jobs
	machines, err := microvm.New(a.logger, made.driver, images, networks, claim, microvm.Options{
		CPUs:          jobs.NumCPUs,
		Memory:        int64(cfg.MemoryBytes),
		MemoryShown:   jobs.Memory,
		Disk:          int64(cfg.DiskSpaceBytes),
		PidsLimit:     a.config.Docker.PidsLimit,
		Kernel:        kernelFile(a.config),
		Initramfs:     initramfsFile(a.config),
		Root:          cfg.Image,
		RootAuth:      a.config.Docker.Auth.Reveal(),
		Dir:           MachinesDir(a.config),
		Prefix:        cfg.VMPrefix,
		Pool:          cfg.Pool,
		StartupScript: cfg.VMStartupScriptPath,
		Grace:         max(jobs.StopGracePeriod, time.Nanosecond),
		Keep:          jobs.KeepWorkspaces,
		Sweep:         made.sweep,
		Observe:       a.runner.Observe,
	})
	if err != nil {
		return place{}, err
	}
	held.add(machines.Close)
	return place{Runtime: machines, release: held.release}, nil
}

// driver is what runs machines, and what goes with it.
type driver struct {
	driver vm.Driver
	// named is true when it opens taps by their names.
	named bool
	// sweep removes what it left of machines that are gone; nil when that is nothing.
	sweep func(ctx context.Context, alive func(name string) bool) error
}

func (a *Agent) makeDriver(ctx context.Context, held *holdings) (driver, error) {
	wanted := a.config.Firecracker.Driver
	if wanted == executorconfig.DriverFirecracker {
		return a.makeFirecracker(held)
	}
	hasFirecracker := wanted == executorconfig.DriverAuto && a.installed(firecracker.Program, firecracker.Jailer)
	if hasFirecracker && !a.installed(qemu.Program) {
		return a.makeFirecracker(held)
	}
	monitor, err := qemu.New(a.logger, qemu.Options{})
	if err != nil {
		return driver{}, err
	}
	held.add(monitor.Close)
	if !hasFirecracker {
		return driver{driver: monitor}, nil
	}
	// That /dev/kvm is there says little: QEMU tries it with this kernel, and goes on without where it doesn't work.
	translates, err := monitor.Translates(ctx, kernelFile(a.config), initramfsFile(a.config))
	if err != nil {
		return driver{}, err
	}
	if !translates {
		made, err := a.makeFirecracker(held)
		if err == nil {
			return made, nil
		}
		a.logger.Warn("Firecracker can't run here, so QEMU runs the machines", log.Error(err))
	}
	return driver{driver: monitor}, nil
}

func (a *Agent) installed(programs ...string) bool {
	for _, program := range programs {
		if _, err := a.tools.LookPath(program); err != nil {
			return false
		}
	}
	return true
}

func (a *Agent) makeFirecracker(held *holdings) (driver, error) {
	jails := filepath.Join(a.config.Firecracker.VMDir, "jails")
	if err := os.MkdirAll(jails, 0o755); err != nil {
		return driver{}, fault.As(fault.Operator, err)
	}
	made, err := firecracker.New(a.logger, firecracker.Options{Dir: jails})
	if err != nil {
		return driver{}, err
	}
	held.add(made.Close)
	return driver{made, true, func(ctx context.Context, alive func(name string) bool) error {
		return firecracker.Remove(ctx, jails, alive)
	}}, nil
}

// makeNetworks is nil for machines without a network.
func (a *Agent) makeNetworks(ctx context.Context, named bool, held *holdings) (microvm.Networks, error) {
	cfg := a.config.Firecracker
	if !cfg.Network {
		return nil, nil
	}
	allow, err := network.ParseRules(cfg.EgressAllow)
	if err != nil {
		return nil, err
	}
	made, err := network.New(ctx, a.logger, network.Options{
		Executor:     a.name,
		Subnet:       cfg.Subnet,
		Allow:        allow,
		IngressBytes: int64(cfg.BandwidthIngress),
		EgressBytes:  int64(cfg.BandwidthEgress),
		Persistent:   named,
	})
	if err != nil {
		return nil, fmt.Errorf("%w (or set EXECUTOR_VM_NETWORK=none)", err)
	}
	held.add(bounded(closeTime, made.Close))
	return made, nil
}
