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
	"github.com/open-executor/executor/internal/vm/network"
	"github.com/open-executor/executor/internal/vm/qemu"
)

// closeTime bounds the removal of the machines' network.
const closeTime = 30 * time.Second

// checkKernel makes sure that there is something to boot.
func checkKernel(config executorconfig.Config) error {
	for _, name := range []string{boot.KernelFile, boot.InitramfsFile} {
		if _, err := os.Stat(filepath.Join(KernelDir(config), name)); err != nil {
			return fault.Operatorf("the microVMs have no kernel yet: %w; run executor install kernel, or set EXECUTOR_USE_FIRECRACKER=false to run jobs without microVMs", err)
		}
	}
	return nil
}

// machinePrograms are what the configured machines need of this host, besides what every job needs.
func machinePrograms(config executorconfig.Config) []string {
	programs := []string{"mke2fs", "sqfstar", qemu.Program}
	if config.Firecracker.Network {
		programs = append(programs, "nft")
	}
	return programs
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

// makeMachines makes the microVM runtime of the configuration.
func (a *Agent) makeMachines(ctx context.Context, claim *owner.Claim) (_ place, err error) {
	cfg := a.config.Firecracker
	for _, name := range cfg.Ignored {
		a.logger.Warn("this variable has no meaning any more and is ignored (docs/microvm.md)", log.String("variable", name))
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
	driver, err := a.makeDriver(&held)
	if err != nil {
		return place{}, err
	}
	networks, err := a.makeNetworks(ctx, &held)
	if err != nil {
		return place{}, err
	}
	jobs := a.config.Jobs
	machines, err := microvm.New(a.logger, driver, images, networks, claim, microvm.Options{
		CPUs:          jobs.NumCPUs,
		Memory:        int64(cfg.MemoryBytes),
		MemoryShown:   jobs.Memory,
		Disk:          int64(cfg.DiskSpaceBytes),
		PidsLimit:     a.config.Docker.PidsLimit,
		Kernel:        filepath.Join(KernelDir(a.config), boot.KernelFile),
		Initramfs:     filepath.Join(KernelDir(a.config), boot.InitramfsFile),
		Root:          cfg.Image,
		RootAuth:      a.config.Docker.Auth.Reveal(),
		Dir:           machinesDir(a.config),
		Prefix:        cfg.VMPrefix,
		Pool:          cfg.Pool,
		StartupScript: cfg.VMStartupScriptPath,
		Grace:         max(jobs.StopGracePeriod, time.Nanosecond),
		Observe:       a.runner.Observe,
	})
	if err != nil {
		return place{}, err
	}
	held.add(machines.Close)
	return place{machines, held.release}, nil
}

func (a *Agent) makeDriver(held *holdings) (vm.Driver, error) {
	if a.config.Firecracker.Driver == executorconfig.DriverFirecracker {
		return nil, fault.Operatorf("EXECUTOR_VM_DRIVER is firecracker, which this build doesn't have; set it to qemu")
	}
	driver, err := qemu.New(a.logger, qemu.Options{})
	if err != nil {
		return nil, err
	}
	held.add(driver.Close)
	return driver, nil
}

// makeNetworks is nil for machines without a network.
func (a *Agent) makeNetworks(ctx context.Context, held *holdings) (microvm.Networks, error) {
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
	})
	if err != nil {
		return nil, fmt.Errorf("%w (or set EXECUTOR_VM_NETWORK=none)", err)
	}
	held.add(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		return made.Close(ctx)
	})
	return made, nil
}
