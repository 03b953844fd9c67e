package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/spawn"
)

// Program is the program's name on the PATH.
const Program = "qemu-system-x86_64"

// agentPort is the name by which the guest agent finds its channel.
const agentPort = "open-executor.agent"

// Options steer the driver.
type Options struct {
	// Program is a path or a name on the PATH; Program when empty.
	Program string
	// Accelerator is "kvm", "tcg", or empty to find out.
	Accelerator string
}

// Driver is the QEMU driver.
type Driver struct {
	logger  log.Logger
	options Options
	program string

	probing     sync.Mutex
	accelerator string

	thread *spawn.Thread
}

var _ vm.Driver = (*Driver)(nil)

// New looks for the program. A missing one is an operator error.
func New(logger log.Logger, options Options) (*Driver, error) {
	if options.Program == "" {
		options.Program = Program
	}
	program, err := exec.LookPath(options.Program)
	if err == nil {
		// Machines have users of their own, who may not get through the directory of a link.
		program, err = filepath.EvalSymlinks(program)
	}
	if err != nil {
		return nil, fault.Operatorf("QEMU is not installed: %w; on Debian: apt-get install qemu-system-x86", err)
	}
	logger = logger.Scoped("qemu")
	return &Driver{logger: logger, options: options, program: program, accelerator: options.Accelerator, thread: spawn.NewThread(logger)}, nil
}

// Close ends the driver, and with it all machines that still run.
func (d *Driver) Close() error {
	d.thread.Close()
	return nil
}

// Start implements vm.Driver.
func (d *Driver) Start(ctx context.Context, machine vm.Machine) (vm.Instance, error) {
	accelerator, err := d.Accelerator(ctx, machine.Kernel, machine.Initramfs)
	if err != nil {
		return nil, err
	}
	i, err := d.start(ctx, machine, accelerator)
	if err != nil {
		return nil, err // and no interface that holds a nil
	}
	return i, nil
}

func (d *Driver) start(ctx context.Context, machine vm.Machine, accelerator string) (_ *instance, err error) {
	files := &handover{}
	defer func() { files.closeTheirs() }()
	i := &instance{drives: make([]int, len(machine.Drives)), done: make(chan struct{})}
	call := invocation{machine: machine, accelerator: accelerator}
	var consoleEnd *net.UnixConn
	for _, socket := range []struct {
		mine **net.UnixConn
		fd   *int
	}{{&i.control, &call.monitor}, {&i.channel, &call.channel}, {&consoleEnd, &call.console}} {
		if *socket.mine, *socket.fd, err = files.socket(); err != nil {
			return nil, errors.Join(fmt.Errorf("starting a machine: %w", err), files.closeMine())
		}
	}
	for _, file := range []struct {
		path string
		fd   *int
	}{{machine.Kernel, &call.kernel}, {machine.Initramfs, &call.initramfs}} {
		if *file.fd, err = files.open(file.path); err != nil {
			return nil, errors.Join(fault.Operatorf("starting a machine: %w; executor install kernel makes it", err), files.closeMine())
		}
	}
	for _, drive := range machine.Drives {
		call.drives = append(call.drives, files.add(drive.File))
	}
	if machine.Link != nil {
		call.tap = files.add(machine.Link.Tap)
	}
	i.cmd = exec.Command(d.program, call.arguments()...)
	i.cmd.Env = machine.Env
	i.cmd.ExtraFiles = files.theirs
	i.cmd.Stdout, i.cmd.Stderr = &i.said, &i.said
	i.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: credential(os.Geteuid(), machine.Link, accelerator)}
	if err := d.thread.Start(i.cmd); err != nil {
		return nil, errors.Join(fmt.Errorf("starting QEMU: %w", err), files.closeMine())
	}
	files.closeTheirs()
	i.watch(consoleEnd)
	if i.monitor, err = newMonitor(ctx, i.control); err != nil {
		err = fmt.Errorf("starting QEMU: %w", err)
		closeErr := i.Close()
		if said := strings.TrimSpace(string(i.said.Bytes())); said != "" {
			err = fmt.Errorf("%w: it said: %s", err, said)
		}
		return nil, errors.Join(err, closeErr)
	}
	return i, nil
}

// handover collects what a child gets as its open files, from number 3 on.
type handover struct {
	theirs []*os.File
	// opened are those that are closed here once the child has them.
	opened []*os.File
	mine   []net.Conn
}

func (h *handover) add(file *os.File) int {
	h.theirs = append(h.theirs, file)
	return len(h.theirs) + 2
}

func (h *handover) open(path string) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	h.opened = append(h.opened, file)
	return h.add(file), nil
}

// socket makes a pair of connected sockets, one of them for the child.
func (h *handover) socket() (*net.UnixConn, int, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, err
	}
	theirs, mine := os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket")
	h.opened = append(h.opened, theirs)
	conn, err := net.FileConn(mine)
	if err := errors.Join(err, mine.Close()); err != nil {
		return nil, 0, err
	}
	h.mine = append(h.mine, conn)
	return conn.(*net.UnixConn), h.add(theirs), nil // a pair of them is what was asked for
}

func (h *handover) closeTheirs() {
	for _, file := range h.opened {
		_ = file.Close() // read only, or the child has it
	}
	h.opened = nil
}

func (h *handover) closeMine() error {
	var all error
	for _, conn := range h.mine {
		all = errors.Join(all, conn.Close())
	}
	return all
}
