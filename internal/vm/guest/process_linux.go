package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/jobtree"
	"github.com/open-executor/executor/internal/vm/channel"
)

// process is a command that was started in a group, with pipes for its output.
type process struct {
	cmd       *exec.Cmd
	group     *group
	out, errs *os.File
}

// run runs a command in a group to its end and passes signals on. When it returns, nothing is left of the group.
func (a *Agent) run(ctx context.Context, cmd *exec.Cmd, g *group, x channel.Exchange) (result channel.Result, err error) {
	if program := x.Request.Program; program != nil && program.Terminal {
		defer func() {
			result.OutOfMemory = g.outOfMemory()
			err = errors.Join(err, g.remove())
		}()
		return result, a.runOnTerminal(ctx, cmd, g, x, &result)
	}
	p, err := a.start(cmd, g)
	if err != nil {
		return result, err
	}
	return a.finish(ctx, p, x)
}

// start starts a command. On error nothing is left of the group.
func (a *Agent) start(cmd *exec.Cmd, g *group) (_ *process, err error) {
	p := &process{cmd: cmd, group: g}
	outs, out, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, g.remove())
	}
	defer func() { _ = out.Close() }() // the command has its own
	errsOut, errs, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, outs.Close(), g.remove())
	}
	defer func() { _ = errs.Close() }()
	p.out, p.errs = outs, errsOut
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.SysProcAttr = g.attributes()
	if err := a.reaper.start(cmd); err != nil {
		return nil, errors.Join(err, p.close(), g.remove())
	}
	return p, nil
}

func (p *process) close() error { return errors.Join(p.out.Close(), p.errs.Close()) }

// finish hands on what a process writes, and the signals to it, until it has ended. When it returns, nothing is left of the group.
func (a *Agent) finish(ctx context.Context, p *process, x channel.Exchange) (result channel.Result, err error) {
	defer func() {
		result.OutOfMemory = p.group.outOfMemory()
		result.DiskFull = result.ExitCode != 0 && diskFull()
		err = errors.Join(err, p.group.remove())
	}()
	var copying, passing sync.WaitGroup
	for from, to := range map[*os.File]io.Writer{p.out: x.Stdout, p.errs: x.Stderr} {
		copying.Go(func() {
			_, _ = io.CopyBuffer(onlyWriter{to}, onlyReader{from}, make([]byte, channel.MaxPayload)) // fails with the connection
			_ = from.Close()
		})
	}
	ended := make(chan struct{})
	passing.Go(func() { passSignals(ctx, p.group, p.cmd.Process.Pid, x.Signals, ended, nil) })
	err = a.reaper.wait(p.cmd)
	close(ended)
	passing.Wait()
	// A process that the step left behind may hold the pipes: it is killed before their end is awaited.
	err = errors.Join(exitOf(p.cmd, &result, err), p.group.kill())
	copying.Wait()
	return result, err
}

// drop ends a process that isn't wanted any more.
func (a *Agent) drop(p *process) error {
	err := p.group.kill()
	_ = a.reaper.wait(p.cmd) // it was killed
	return errors.Join(err, p.close(), p.group.remove())
}

// onlyWriter and onlyReader keep io.Copy to the buffer that it is given.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// exitOf puts how a command ended into the result.
func exitOf(cmd *exec.Cmd, result *channel.Result, err error) error {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		result.ExitCode = 128 + int(status.Signal())
	default:
		result.ExitCode = cmd.ProcessState.ExitCode()
	}
	return nil
}

// passSignals hands the host's signals on until the command has ended. The end of the connection is a SIGKILL.
func passSignals(ctx context.Context, g *group, but int, signals <-chan channel.Signal, ended <-chan struct{}, resize func(rows, columns uint16)) {
	for {
		select {
		case <-ended:
			return
		case <-ctx.Done():
			_ = g.kill() // remove tries again, and says so
			return
		case signal, open := <-signals:
			switch {
			case !open:
				signals = nil
			case signal.Number == unix.SIGKILL:
				_ = g.kill()
			case signal.Number == 0 && resize != nil:
				resize(signal.Rows, signal.Columns)
			case signal.Number != 0:
				_ = g.signal(signal.Number, but) // those that are gone need none
			}
		}
	}
}

// runOnTerminal runs a command for a person.
func (a *Agent) runOnTerminal(ctx context.Context, cmd *exec.Cmd, g *group, x channel.Exchange, result *channel.Result) error {
	master, slave, err := pty.Open()
	if err != nil {
		return fmt.Errorf("making a terminal: %w", err)
	}
	defer func() { _ = master.Close() }()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = g.attributes()
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	err = a.reaper.start(cmd)
	_ = slave.Close() // the command has its own
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	var others, copying sync.WaitGroup
	others.Go(func() {
		passSignals(ctx, g, -1, x.Signals, ended, func(rows, columns uint16) {
			_ = pty.Setsize(master, &pty.Winsize{Rows: rows, Cols: columns}) // a terminal of the wrong size is still one
		})
	})
	copying.Go(func() { _, _ = io.Copy(onlyWriter{x.Stdout}, onlyReader{master}) })
	others.Go(func() { _, _ = io.Copy(onlyWriter{master}, x.Input) })
	err = a.reaper.wait(cmd)
	close(ended)
	err = errors.Join(exitOf(cmd, result, err), g.kill())
	copying.Wait()
	if closer, ok := x.Input.(io.Closer); ok {
		_ = closer.Close()
	}
	others.Wait()
	return err
}

// runProgram runs a program of the guest's own root.
func (a *Agent) runProgram(ctx context.Context, p channel.Program, x channel.Exchange) (channel.Result, error) {
	workspace, _ := a.places()
	dir, err := jobtree.Dir(workspace, p.Dir)
	if err != nil {
		return channel.Result{}, err
	}
	if len(p.Args) == 0 {
		return channel.Result{}, errors.New("there is no program to run")
	}
	path, err := exec.LookPath(p.Args[0])
	if err != nil {
		return channel.Result{}, fmt.Errorf("%w: the guest has no program %s: %s", errStart, p.Args[0], err)
	}
	g, err := newGroup(a.name("program"))
	if err != nil {
		return channel.Result{}, err
	}
	return a.run(ctx, &exec.Cmd{Path: path, Args: p.Args, Dir: dir, Env: p.Env}, g, x)
}
