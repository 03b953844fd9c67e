package command

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Whoever is left of a process group when its leader has exited may go on writing for leftoversWait (the tee at the end of a
// pipeline, for example) before it is killed. After a kill only processes that left the group can still hold the pipes; they get
// strayWait twice.
const (
	leftoversWait = 2 * time.Second
	strayWait     = time.Second / 4
)

// pipeCapacity is as much as a pipe can hold on Linux unless somebody asked for more.
const pipeCapacity = 64 << 10

// process is a started command with all that it started and that stayed in its process group.
type process struct {
	cmd   *exec.Cmd
	pipes [2]*os.File
	// exited is closed when the leader has exited; over when moreover its output is complete: nobody holds it open any more.
	exited, over chan struct{}
}

// start starts cmd as the leader of a new process group and copies its output. The pipes are made here instead of by os/exec,
// whose Wait reaps the leader before it waits for them: see wait.
func start(cmd *exec.Cmd, stdout, stderr io.Writer) (*process, error) {
	p := &process{cmd: cmd, exited: make(chan struct{}), over: make(chan struct{})}
	var ends [2]*os.File
	defer func() { closeAll(ends) }()
	for i := range ends {
		var err error
		if p.pipes[i], ends[i], err = os.Pipe(); err != nil {
			closeAll(p.pipes)
			return nil, err
		}
	}
	cmd.Stdout, cmd.Stderr = ends[0], ends[1]
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		closeAll(p.pipes)
		return nil, err
	}
	var copies sync.WaitGroup
	for i, writer := range []io.Writer{stdout, stderr} {
		copies.Go(func() { copyOutput(writer, p.pipes[i]) })
	}
	go func() {
		defer close(p.over)
		copies.Wait()
		<-p.exited
	}()
	return p, nil
}

// copyOutput copies until nobody holds the other end of the pipe any more, or its read deadline; what stood in the pipe by then
// is copied as well, however slow the writer was.
func copyOutput(writer io.Writer, pipe *os.File) {
	_, err := io.Copy(writer, pipe)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	buffer := make([]byte, pipeCapacity)
	for left := pipeCapacity; left > 0; {
		_ = pipe.SetReadDeadline(time.Now().Add(strayWait))
		n, err := pipe.Read(buffer[:left])
		_, _ = writer.Write(buffer[:n])
		if err != nil {
			return
		}
		left -= n
	}
}

// wait returns when the leader has exited, the output is copied, and nobody is left in the group. When the context ends first, it
// ends the group as spec says and returns true.
//
// The leader is reaped last: until then its number stands for this group alone, and a signal can't hit a stranger.
func (p *process) wait(ctx context.Context, spec Spec) (stopped bool, err error) {
	go func() {
		defer close(p.exited)
		err = awaitExit(p.cmd)
	}()
	patience := leftoversWait
	select {
	case <-p.exited:
	case <-ctx.Done():
		stopped, patience = true, strayWait
		p.stop(spec)
		<-p.exited
	}
	for _, pipe := range p.pipes {
		_ = pipe.SetReadDeadline(time.Now().Add(patience))
	}
	<-p.over
	closeAll(p.pipes)
	p.signal(syscall.SIGKILL)
	if p.cmd.ProcessState == nil && err == nil {
		err = p.cmd.Wait()
	}
	if p.cmd.ProcessState != nil {
		// The exit code tells what the error would.
		err = nil
	}
	return stopped, err
}

// stop ends the group: politely first, for certain in the end. The leader's children have the whole grace period, also when
// the leader, a shell for example, dies of SIGTERM at once: as long as one of them holds the output open.
func (p *process) stop(spec Spec) {
	if spec.Stop != nil {
		spec.Stop(p.over)
	} else if spec.Grace > 0 {
		p.signal(syscall.SIGTERM)
		timer := time.NewTimer(spec.Grace)
		defer timer.Stop()
		select {
		case <-p.over:
		case <-timer.C:
		}
	}
	p.signal(syscall.SIGKILL)
}

func (p *process) signal(signal syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, signal) }

func closeAll(files [2]*os.File) {
	for _, file := range files {
		// A nil file answers with an error.
		_ = file.Close()
	}
}
