package step

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/jobtree"
	"github.com/open-executor/executor/internal/pod"
	"github.com/open-executor/executor/internal/vm/channel"
)

// dialPause is the time between two tries to find the agent.
const dialPause = 20 * time.Millisecond

// dialTime bounds the wait for the agent, whose container starts when this one does.
const dialTime = 2 * time.Minute

// Run takes the place of the container's step until the agent has told what that is and it has ended, and returns its exit code. The container's own
// environment is the step's as well, before what the agent says. It must be the first process of its container, and no other process may be in it.
func Run(ctx context.Context, socket string, container int, environ []string) (int, error) {
	if os.Getpid() != 1 {
		// All processes beside it are the step's to this one: it signals and kills them all.
		return 1, fmt.Errorf("process %d is not the first one of a container", os.Getpid())
	}
	pass, environ := takePass(environ)
	conn, err := dial(ctx, socket)
	if err != nil {
		return 1, err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := fmt.Fprintf(conn, "%d %s\n", container, pass); err != nil {
		return 1, err
	}
	r := &runner{environ: environ, ended: make(chan struct{})}
	err = channel.Serve(ctx, conn, r.handle)
	select {
	case <-r.ended:
		return r.code, nil
	default:
		return 1, fmt.Errorf("the agent has gone: %w", err)
	}
}

// takePass separates the pass from what the step may see.
func takePass(environ []string) (pass string, rest []string) {
	for _, pair := range environ {
		if value, found := strings.CutPrefix(pair, pod.KeyVariable+"="); found {
			pass = value
		} else {
			rest = append(rest, pair)
		}
	}
	return pass, rest
}

// dial waits for the agent, whose container may start later, or have ended before this one started.
func dial(ctx context.Context, socket string) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, dialTime, fmt.Errorf("it has not come for %s", dialTime))
	defer cancel()
	for {
		if _, err := os.Stat(socket + pod.EndedSuffix); err == nil {
			return nil, errors.New("the agent has ended before this step's container was there")
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err == nil {
			return conn, nil
		}
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ECONNREFUSED) {
			return nil, fmt.Errorf("the agent can't be reached: %w", err)
		}
		select {
		case <-time.After(dialPause):
		case <-ctx.Done():
			return nil, fmt.Errorf("the agent can't be reached: %w", context.Cause(ctx))
		}
	}
}

// runner runs one step.
type runner struct {
	environ []string
	once    sync.Once
	code    int
	ended   chan struct{}
}

func (r *runner) handle(ctx context.Context, x channel.Exchange) channel.Result {
	result := channel.Result{Error: &channel.Error{Reason: channel.ReasonGuest, Message: "this container has had its step"}}
	r.once.Do(func() {
		defer close(r.ended)
		result = answer(r.run(ctx, x))
		if r.code = result.ExitCode; result.Error != nil {
			r.code = 1
		}
	})
	return result
}

// errStart marks that the step's first process could not be started.
var errStart = errors.New("the step did not start")

func answer(result channel.Result, err error) channel.Result {
	switch {
	case err == nil:
	case errors.Is(err, errStart):
		result.Error = &channel.Error{Reason: channel.ReasonStart, Message: err.Error()}
	case fault.ClassOf(err) == fault.User:
		result.Error = &channel.Error{Reason: channel.ReasonUser, Message: err.Error()}
	default:
		result.Error = &channel.Error{Reason: channel.ReasonGuest, Message: err.Error()}
	}
	return result
}

func (r *runner) run(ctx context.Context, x channel.Exchange) (channel.Result, error) {
	program := x.Request.Program
	if program == nil || len(program.Args) == 0 {
		return channel.Result{}, errors.New("there is no program to run")
	}
	dir, err := jobtree.Dir(pod.Workspace, program.Dir)
	if err != nil {
		return channel.Result{}, err
	}
	env := merged(r.environ, program.Env)
	path, err := lookPath(program.Args[0], env)
	if err != nil {
		return channel.Result{}, fmt.Errorf("%w: %w", errStart, err)
	}
	before := oomKills()
	p, err := start(path, program.Args, dir, env)
	if err != nil {
		return channel.Result{}, fmt.Errorf("%w: %s: %w", errStart, program.Args[0], err)
	}
	result, err := p.finish(ctx, x)
	result.OutOfMemory = oomKills() > before
	return result, err
}

// merged is an environment in which a later pair of the same name counts.
func merged(first, then []string) []string {
	env := slices.Clone(then)
	for _, pair := range first {
		name, _, _ := strings.Cut(pair, "=")
		if !slices.ContainsFunc(then, func(other string) bool { return strings.HasPrefix(other, name+"=") }) {
			env = append(env, pair)
		}
	}
	return env
}

// lookPath finds a program in the PATH that the step will have.
func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, pair := range env {
		if dirs, found := strings.CutPrefix(pair, "PATH="); found {
			for dir := range strings.SplitSeq(dirs, ":") {
				if path, err := exec.LookPath(dir + "/" + name); err == nil && strings.HasPrefix(dir, "/") {
					return path, nil
				}
			}
		}
	}
	return "", fmt.Errorf("%s: not found", name)
}

// process is the step's first process, with pipes for its output.
type process struct {
	pid       int
	out, errs *os.File
}

func start(path string, args []string, dir string, env []string) (*process, error) {
	none, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer func() { _ = none.Close() }()
	outs, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the step has its own
	errsOut, errs, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, outs.Close())
	}
	defer func() { _ = errs.Close() }()
	pid, err := syscall.ForkExec(path, args, &syscall.ProcAttr{Dir: dir, Env: env, Files: []uintptr{none.Fd(), out.Fd(), errs.Fd()}})
	if err != nil {
		return nil, errors.Join(err, outs.Close(), errsOut.Close())
	}
	return &process{pid: pid, out: outs, errs: errsOut}, nil
}

// finish hands on what the step writes, and the signals to it, until it has ended. When it returns, this process is the only one in its container.
func (p *process) finish(ctx context.Context, x channel.Exchange) (channel.Result, error) {
	var copying, passing sync.WaitGroup
	for from, to := range map[*os.File]io.Writer{p.out: x.Stdout, p.errs: x.Stderr} {
		copying.Go(func() {
			// It fails with the connection, which ends the step.
			_, _ = io.CopyBuffer(onlyWriter{to}, onlyReader{from}, make([]byte, channel.MaxPayload))
			_ = from.Close()
		})
	}
	ended := make(chan struct{})
	passing.Go(func() { passSignals(ctx, x.Signals, ended) })
	status, err := reapUntil(p.pid)
	close(ended)
	passing.Wait()
	// A process that the step left behind may hold the pipes: it is killed before their end is awaited.
	err = errors.Join(err, killAll())
	copying.Wait()
	if status.Signaled() {
		return channel.Result{ExitCode: 128 + int(status.Signal())}, err
	}
	return channel.Result{ExitCode: status.ExitStatus()}, err
}

// onlyWriter and onlyReader keep io.Copy to the buffer that it is given.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// passSignals hands signals to all processes of the container until the step has ended. The end of the connection is a SIGKILL.
func passSignals(ctx context.Context, signals <-chan channel.Signal, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case <-ctx.Done():
			_ = unix.Kill(-1, unix.SIGKILL)
			return
		case signal, open := <-signals:
			switch {
			case !open:
				signals = nil
			case signal.Number != 0:
				_ = unix.Kill(-1, signal.Number) // those that are gone need none
			}
		}
	}
}

// reapUntil reaps what ends until it is the process of that number.
func reapUntil(pid int) (unix.WaitStatus, error) {
	for {
		var status unix.WaitStatus
		ended, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return status, fmt.Errorf("waiting for the step: %w", err)
		case ended == pid:
			return status, nil
		}
	}
}

// killAll kills and reaps all that is left in the container: its processes are children of this one once their parents are gone.
func killAll() error {
	for {
		_ = unix.Kill(-1, unix.SIGKILL)
		_, err := unix.Wait4(-1, nil, 0, nil)
		switch {
		case errors.Is(err, unix.ECHILD):
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("ending the step's processes: %w", err)
		}
	}
}
