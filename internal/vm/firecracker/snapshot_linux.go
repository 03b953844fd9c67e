package firecracker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/vm"
)

// Snapshot are the files of a machine that can go on later, as often as wanted: paths on the file system of Options.Dir.
//
// Each machine that goes on starts with the same memory: it must be configured anew (channel.Configure) before it does anything, for its
// clock, its random numbers, its name, and its address.
type Snapshot struct {
	Memory, State string
}

// Names of the files in the jail.
const (
	memoryName = "memory"
	stateName  = "state"
)

// Snapshot makes the files of a machine that has booted and waits: nobody has used its channel yet, since the guest agent takes only one
// connection and that would not be there later, and no drive was swapped. The machine has ended afterwards, whether or not there was an
// error: what had the files open for writing must be gone before anybody trusts them. On error there are no files.
func (d *Driver) Snapshot(ctx context.Context, machine vm.Instance, to Snapshot) error {
	i, ok := machine.(*instance)
	if !ok || i.driver != d {
		return errors.New("making a snapshot: the machine is another driver's")
	}
	made, err := i.freeze(ctx, to)
	err = errors.Join(err, i.Close())
	for _, path := range made {
		if err == nil {
			err = i.own(path)
		}
	}
	if err != nil {
		for _, path := range made {
			err = errors.Join(err, os.Remove(path))
		}
		return fmt.Errorf("making a snapshot: %w", err)
	}
	return nil
}

// freeze makes the files, and tells which there are, also on error.
func (i *instance) freeze(ctx context.Context, to Snapshot) (made []string, err error) {
	if err := i.pristine(); err != nil {
		return nil, err
	}
	create := put("/snapshot/create", map[string]any{"snapshot_type": "Full", "snapshot_path": "/" + stateName, "mem_file_path": "/" + memoryName})
	create.limit = i.driver.timing.snapshot
	for _, r := range []request{patch("/vm", map[string]any{"state": "Paused"}), create} {
		if err := i.api.do(ctx, r); err != nil {
			return nil, err
		}
	}
	for _, file := range []struct{ name, path string }{{memoryName, to.Memory}, {stateName, to.State}} {
		if err := i.jail.linkOut(file.name, file.path); err != nil {
			return made, err
		}
		made = append(made, file.path)
	}
	return made, nil
}

func (i *instance) pristine() error {
	i.swapping.Lock()
	defer i.swapping.Unlock()
	for n, drive := range i.drives {
		if drive.version != 0 {
			return fmt.Errorf("drive %d was swapped", n)
		}
	}
	if i.channel.used.Load() {
		return errors.New("its channel is in use")
	}
	return nil
}

// linkOut gives a file of the jail a name outside. What it is has to be looked at once nobody can change it.
func (j *jail) linkOut(name, path string) error {
	err := j.at(func(root int) error { return unix.Linkat(root, name, unix.AT_FDCWD, path, 0) })
	if err != nil {
		return fmt.Errorf("taking %s out of the jail to %s: %w", name, path, err)
	}
	return nil
}

// own makes a file that the monitor has made the executor's, and one that nobody writes to.
func (i *instance) own(path string) error {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || !i.driver.host.owns(info, i.user.uid) {
		return fmt.Errorf("%s is not the monitor's file but %s", path, info.Mode())
	}
	return errors.Join(i.driver.host.chown(file, os.Getuid(), os.Getgid()), file.Chmod(0o444))
}

// Restore starts a machine that goes on from a snapshot. It must be like the one of which that was made: the same memory and CPUs, drives of
// the same sizes, a link or none. Its kernel and arguments are the snapshot's. The vsock's socket has the same path in every jail, so unlike
// the tap it needs no other name.
func (d *Driver) Restore(ctx context.Context, machine vm.Machine, from Snapshot) (vm.Instance, error) {
	i, err := d.launch(ctx, machine, func(i *instance) error {
		for _, file := range []struct{ path, name string }{{from.Memory, memoryName}, {from.State, stateName}} {
			if err := i.jail.linkPath(file.path, file.name); err != nil {
				return err
			}
		}
		return nil
	}, []request{quiet(), d.load(machine)})
	if err != nil {
		return nil, fmt.Errorf("restoring a machine: %w", err)
	}
	return i, nil
}

func (d *Driver) load(machine vm.Machine) request {
	body := map[string]any{
		"snapshot_path": "/" + stateName,
		"mem_backend":   map[string]any{"backend_type": "File", "backend_path": "/" + memoryName},
		"resume_vm":     true,
	}
	if machine.Link != nil {
		body["network_overrides"] = []any{map[string]any{"iface_id": interfaceID, "host_dev_name": machine.Link.Name}}
	}
	return request{method: http.MethodPut, path: "/snapshot/load", body: body, limit: d.timing.snapshot}
}

// linkPath links a file that is only read.
func (j *jail) linkPath(path, name string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return j.link(file, name, true)
}
