package firecracker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/spawn"
)

// Program and Jailer are the programs' names on the PATH. They must be of the same release.
const (
	Program = "firecracker"
	Jailer  = "jailer"
)

// Options steer the driver.
type Options struct {
	// Program and Jailer are paths or names on the PATH; the constants when empty.
	Program, Jailer string
	// Dir is where the jails are made, on the file system of the drives' files, as those are linked into them. Executors that share a range
	// of uids must share it. Only root may be able to write to it and to its parents.
	Dir string
	// UIDs is the range that machines get theirs from; DefaultUIDs when empty.
	UIDs UIDs
}

// Driver is the Firecracker driver.
type Driver struct {
	logger  log.Logger
	options Options
	host    host
	timing  timing
	// program, jailer and shell are absolute paths; program has no symlink in it, as the jailer names the jails' directory after the file.
	program, jailer, shell string
	users                  *users

	thread *spawn.Thread
}

var _ vm.Driver = (*Driver)(nil)

// New looks for the programs and for what machines need of this host. What is missing is an operator error.
func New(logger log.Logger, options Options) (*Driver, error) {
	d, err := newDriver(logger, options, thisHost, defaultTiming)
	if err != nil {
		return nil, err
	}
	if err := checkMount(d.options.Dir); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func newDriver(logger log.Logger, options Options, look func() (host, error), timing timing) (*Driver, error) {
	if options.Program == "" {
		options.Program = Program
	}
	if options.Jailer == "" {
		options.Jailer = Jailer
	}
	d := &Driver{logger: logger.Scoped("firecracker"), timing: timing}
	for _, wanted := range []struct {
		name string
		path *string
	}{{options.Program, &d.program}, {options.Jailer, &d.jailer}} {
		path, err := lookUp(wanted.name)
		if err != nil {
			return nil, fault.Operatorf("Firecracker is not installed: %w; \"executor install firecracker\" installs it", err)
		}
		*wanted.path = path
	}
	var err error
	if d.program, err = filepath.EvalSymlinks(d.program); err != nil {
		return nil, err
	}
	if !strings.Contains(filepath.Base(d.program), Program) {
		return nil, fault.Operatorf("%s: the jailer wants a program with %q in its file name", d.program, Program)
	}
	if d.shell, err = lookUp("sh"); err != nil {
		return nil, fault.Operatorf("microVMs are watched over by a shell: %w", err)
	}
	if d.host, err = look(); err != nil {
		return nil, err
	}
	if err := d.host.checkKVM(); err != nil {
		return nil, err
	}
	if options.Dir, err = makeDir(options.Dir); err != nil {
		return nil, err
	}
	if d.users, err = newUsers(filepath.Join(options.Dir, usersDir), options.UIDs); err != nil {
		return nil, err
	}
	d.options = options
	d.thread = spawn.NewThread(d.logger)
	return d, nil
}

// lookUp finds a program's absolute path.
func lookUp(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// Close ends the driver, and with it all machines that still run.
func (d *Driver) Close() error {
	d.thread.Close()
	return nil
}

// Start implements vm.Driver.
func (d *Driver) Start(ctx context.Context, machine vm.Machine) (vm.Instance, error) {
	i, err := d.launch(ctx, machine, func(i *instance) error {
		for _, file := range []struct{ path, name string }{{machine.Kernel, kernelName}, {machine.Initramfs, initramfsName}} {
			if err := i.jail.copyIn(file.path, file.name); err != nil {
				return fault.Operatorf("%w; executor install kernel makes it", err)
			}
		}
		return nil
	}, configuration(machine))
	if err != nil {
		return nil, fmt.Errorf("starting a machine: %w", err)
	}
	return i, nil
}

// launch makes a jail, starts the monitor in it and tells it what to do. On error nothing is left.
func (d *Driver) launch(ctx context.Context, machine vm.Machine, furnish func(*instance) error, requests []request) (*instance, error) {
	if err := check(machine); err != nil {
		return nil, err
	}
	i := newInstance(d, machine)
	if err := d.prepare(ctx, i, furnish); err != nil {
		return nil, errors.Join(err, i.tidy())
	}
	if err := d.run(i); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the jailer: %w", err), i.tidy())
	}
	for _, r := range requests {
		if err := i.api.do(ctx, r); err != nil {
			err = errors.Join(err, i.Close())
			if said := i.lastWords(); said != "" {
				err = fmt.Errorf("%w; it said: %s", err, said)
			}
			return nil, err
		}
	}
	return i, nil
}

// prepare makes all that the monitor needs to find.
func (d *Driver) prepare(ctx context.Context, i *instance, furnish func(*instance) error) (err error) {
	if i.user, err = d.users.lease(); err != nil {
		return err
	}
	dir := filepath.Join(d.options.Dir, filepath.Base(d.program), i.machine.Name)
	if i.jail, err = newJail(dir, i.user.uid, d.host); err != nil {
		return err
	}
	for n, drive := range i.machine.Drives {
		if err := i.jail.link(drive.File, driveFile(n, 0), drive.ReadOnly); err != nil {
			return fmt.Errorf("drive %d: %w", n, err)
		}
	}
	if err := furnish(i); err != nil {
		return err
	}
	if i.machine.Link != nil {
		if err := d.host.own(i.machine.Link, i.user.uid); err != nil {
			return err
		}
		i.ownsTap = true
	}
	return context.Cause(ctx)
}

// run starts the keeper, which starts the jailer, which becomes the monitor.
func (d *Driver) run(i *instance) error {
	output, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	// The shell must not put the jailer into its own place: hence the second command.
	i.cmd = exec.Command(d.shell, append([]string{"-c", `"$@"; exit $?`, "keeper", d.jailer}, d.jailerArguments(i)...)...)
	i.cmd.Env = i.machine.Env
	i.cmd.Stdout, i.cmd.Stderr = theirs, theirs
	i.cmd.ExtraFiles = []*os.File{i.user.lock} // locked for as long as the keeper lives, longer than this process if need be
	i.cmd.SysProcAttr = d.host.attributes()
	err = d.thread.Start(i.cmd)
	_ = theirs.Close() // the keeper has it
	if err != nil {
		return errors.Join(err, output.Close())
	}
	i.watch(output)
	return nil
}
