package qemu

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/vm"
)

// probeTime bounds the trial of KVM: with it a kernel says its first word within a fraction of a second.
const probeTime = 5 * time.Second

// Accelerator is the accelerator of this driver's machines: the one that was asked for, else KVM where this kernel starts with it, else TCG.
// That /dev/kvm exists says little: nested in another machine it may fail with the first guest.
func (d *Driver) Accelerator(ctx context.Context, kernel, initramfs string) (string, error) {
	d.probing.Lock()
	defer d.probing.Unlock()
	if d.accelerator != "" {
		return d.accelerator, nil
	}
	err := d.tryKVM(ctx, kernel, initramfs)
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	d.accelerator = kvm
	if err != nil {
		d.accelerator = tcg
		d.logger.Warn("KVM can't run a guest on this host, so machines are translated instead, which makes them several times slower", log.Error(err))
	}
	return d.accelerator, nil
}

// Translates tells whether this driver's machines are translated, for want of a KVM that can run this kernel.
func (d *Driver) Translates(ctx context.Context, kernel, initramfs string) (bool, error) {
	accelerator, err := d.Accelerator(ctx, kernel, initramfs)
	return accelerator == tcg, err
}

// tryKVM boots a kernel until it says something.
func (d *Driver) tryKVM(ctx context.Context, kernel, initramfs string) error {
	if _, err := os.Stat("/dev/kvm"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, probeTime, fmt.Errorf("the guest's kernel did not start within %s", probeTime))
	defer cancel()
	machine := vm.Machine{Name: "kvm-trial", CPUs: 1, Memory: 128 << 20, Kernel: kernel, Initramfs: initramfs, Arguments: []string{"loglevel=7", "ignore_loglevel"}}
	i, err := d.start(ctx, machine, kvm)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		if bytes.Contains(i.console.Bytes(), []byte("Linux version ")) {
			return i.Close()
		}
		select {
		case <-ticker.C:
		case <-i.Done():
			return fmt.Errorf("the machine ended: %s", bytes.TrimSpace(i.Console()))
		case <-ctx.Done():
			if err := i.Close(); err != nil {
				return err
			}
			return context.Cause(ctx)
		}
	}
}
