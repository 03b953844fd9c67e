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

// run runs a command in a group to its end and passes signals on. When it returns, nothing is left of the group.
func (a *Agent) run(ctx context.Context, cmd *exec.Cmd, g *group, x channel.Exchange) (result channel.Result, err error) {
	defer func() {
		result.OutOfMemory = g.outOfMemory()
		err = errors.Join(err, g.remove())
	}()
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(g.file.Fd())}
	if program := x.Request.Program; program != nil && program.Terminal {
		return result, a.runOnTerminal(ctx, cmd, g, x, &result)
	}
	outputs, err := a.startWithPipes(cmd, x)
	if err != nil {
		return result, err
	}
	ended := make(chan struct{})
	var passing sync.WaitGroup
	passing.Go(func() { passSignals(ctx, g, cmd.Process.Pid, x.Signals, ended, nil) })
	err = a.reaper.wait(cmd)
	close(ended)
	passing.Wait()
	// A process that the step left behind may hold the pipes: it is killed before their end is awaited.
	err = errors.Join(exitOf(cmd, &result, err), g.kill())
	outputs.Wait()
	return result, err
}

// startWithPipes starts a command whose output goes to the host.
func (a *Agent) startWithPipes(cmd *exec.Cmd, x channel.Exchange) (*sync.WaitGroup, error) {
	var copying sync.WaitGroup
	var theirs []*os.File
	defer func() {
		for _, file := range theirs {
			_ = file.Close() // the command has its own
		}
	}()
	pipe := func(to io.Writer) (*os.File, func(), error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, nil, err
		}
		theirs = append(theirs, w)
		return w, func() {
			defer func() { _ = r.Close() }()
			_, _ = io.CopyBuffer(onlyWriter{to}, onlyReader{r}, make([]byte, channel.MaxPayload)) // fails with the connection
		}, nil
	}
	stdout, copyOut, err := pipe(x.Stdout)
	if err != nil {
		return nil, err
	}
	stderr, copyErr, err := pipe(x.Stderr)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := a.reaper.start(cmd); err != nil {
		return nil, err
	}
	copying.Go(copyOut)
	copying.Go(copyErr)
	return &copying, nil
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
	g, err := newGroup(a.name("program"), 0, 0)
	if err != nil {
		return channel.Result{}, err
	}
	return a.run(ctx, &exec.Cmd{Path: path, Args: p.Args, Dir: dir, Env: p.Env}, g, x)
}
