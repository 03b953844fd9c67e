package firecracker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/console"
)

// errEnded is why requests and connections fail when the monitor is gone.
var errEnded = errors.New("the monitor has ended")

// instance is one machine.
type instance struct {
	driver  *Driver
	machine vm.Machine
	user    *user
	jail    *jail
	ownsTap bool
	// cmd is the keeper.
	cmd     *exec.Cmd
	api     *api
	channel *channelConn
	// output has the guest's console, and what the monitor and the jailer say.
	output console.Tail
	// largest is the size in bytes of the largest file that the monitor may write.
	largest int64
	life    context.Context
	end     context.CancelCauseFunc

	swapping vm.Swapping
	drives   []drive

	done chan struct{}
	// left is what could not be taken away; to be read once done is closed.
	left error
}

// drive is what stands behind a drive: its file's size, and how many there were before.
type drive struct {
	readOnly bool
	size     int64
	version  int
}

var _ vm.Instance = (*instance)(nil)

func newInstance(d *Driver, machine vm.Machine) *instance {
	i := &instance{driver: d, machine: machine, largest: machine.Memory + overhead, done: make(chan struct{})}
	i.life, i.end = context.WithCancelCause(context.Background())
	for _, given := range machine.Drives {
		size := int64(0)
		if info, err := given.File.Stat(); err == nil { // else linking it says why not
			size = info.Size()
		}
		i.drives = append(i.drives, drive{readOnly: given.ReadOnly, size: size})
		i.largest = max(i.largest, size)
	}
	i.api = newAPI(i.life, d.timing.request, func(ctx context.Context) (net.Conn, error) { return i.jail.dial(ctx, apiSocket) })
	i.channel = newChannel(i.life, d.timing, func(ctx context.Context) (net.Conn, error) { return i.jail.dial(ctx, vsockSocket) })
	return i
}

// watch follows the output and the keeper to their ends, and takes away what is left.
func (i *instance) watch(output *os.File) {
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(&i.output, output) // ends with the last process
	}()
	go func() {
		_ = i.cmd.Wait() // how it ended shows in what it said
		<-copied
		_ = output.Close()
		if i.left = i.tidy(); i.left != nil {
			i.driver.logger.Error("a microVM has left something behind", log.String("machine", i.machine.Name), log.Error(i.left))
		}
		close(i.done)
	}()
}

// tidy takes away all but the processes, which have ended.
func (i *instance) tidy() error {
	i.end(errEnded)
	err := i.channel.Close()
	if i.jail != nil {
		err = errors.Join(err, i.jail.remove(), removeCgroup(i.driver.host.cgroups, i.machine.Name))
	}
	if i.ownsTap {
		err = errors.Join(err, i.driver.host.disown(i.machine.Link))
	}
	if i.user != nil && err == nil { // else what is left is its, and nobody else may have it while this process lives
		err = i.user.release()
	}
	return err
}

func (i *instance) Channel() net.Conn     { return i.channel }
func (i *instance) Console() []byte       { return i.output.Bytes() }
func (i *instance) Done() <-chan struct{} { return i.done }

// lastWords are the end of what was printed.
func (i *instance) lastWords() string {
	const shown = 2 << 10
	said := i.output.Bytes()
	return string(bytes.TrimSpace(said[max(0, len(said)-shown):]))
}

// Close implements vm.Instance.
func (i *instance) Close() error {
	if err := i.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing a machine: %w", err)
	}
	<-i.done
	return i.left
}

// Swap implements vm.Instance: the new file comes into the jail under a new name, and when the monitor has it, the old one goes.
func (i *instance) Swap(ctx context.Context, drive int, file *os.File) error {
	return i.swapping.Do(ctx, drive, len(i.drives), func(ctx context.Context) error { return i.swap(ctx, drive, file) })
}

func (i *instance) swap(ctx context.Context, n int, file *os.File) error {
	if i.life.Err() != nil {
		return context.Cause(i.life)
	}
	d := &i.drives[n]
	info, err := file.Stat()
	if err != nil {
		return err
	}
	readOnly, err := vm.IsReadOnly(file)
	if err != nil {
		return err
	}
	if info.Size() != d.size || readOnly != d.readOnly {
		return fmt.Errorf("%s has %d bytes (read-only: %t), the file before it %d (%t)", file.Name(), info.Size(), readOnly, d.size, d.readOnly)
	}
	old := driveFile(n, d.version)
	d.version++ // also after an error: the monitor may have heard of the name
	name := driveFile(n, d.version)
	if err := i.jail.link(file, name, d.readOnly); err != nil {
		return err
	}
	err = i.api.do(ctx, patch("/drives/"+driveID(n), map[string]any{"drive_id": driveID(n), "path_on_host": "/" + name}))
	switch {
	case err == nil:
		return i.jail.takeOut(old)
	case errors.Is(err, errRefused):
		return errors.Join(err, i.jail.takeOut(name))
	}
	return err // either file may be behind the drive now: both stay until the machine ends
}
