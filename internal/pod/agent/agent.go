// Package agent is the first process of a job's pod: it holds the workspace, tells the containers of steps when to run what, keeps what they write, and
// answers the executor.
package agent

import (
	"bufio"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/open-executor/executor/internal/pod"
	"github.com/open-executor/executor/internal/vm/channel"
)

// Options of an agent.
type Options struct {
	// Workspace is the job's, PrivateDir nobody else's.
	Workspace, PrivateDir string
	// StepSocket is where steps come, AttachSocket where executors do.
	StepSocket, AttachSocket string
	// Key makes the steps' passes, Containers is how many there are.
	Key        string
	Containers int
	// Unattended is how long the agent lives without an executor.
	Unattended time.Duration
	// Silence is how long an attached executor may say nothing; pod.Silence by default.
	Silence time.Duration
}

// ErrUnattended ends an agent that no executor speaks with any more, ErrEnded one that was told to end.
var (
	ErrUnattended = errors.New("no executor has attached for too long")
	ErrEnded      = errors.New("told to end")
)

const (
	// introduceTime bounds how long a step takes to say who it is.
	introduceTime = 10 * time.Second
	// maxIntroduction bounds what it says, in bytes.
	maxIntroduction = 256
	// stepSilence is how long a step's first process may not answer: its container's limits may hold it up.
	stepSilence = 10 * time.Minute
)

// Agent is one job's.
type Agent struct {
	options    Options
	containers []*container
	working    sync.WaitGroup
	end        context.CancelCauseFunc

	kept  keep
	taken answers

	mu sync.Mutex
	// holder is whose pod it is; empty until somebody has claimed it.
	holder   string
	visitors map[*visitor]bool
	// changed is closed when any of the two has changed.
	changed chan struct{}
	// alone ends the agent; it is stopped while an executor is attached.
	alone *time.Timer
	// began is true once a step may have used the workspace.
	began bool
}

// Run serves until ctx ends, it is told to end, or nobody has attached for long. Its sockets are there soon after it was called.
func Run(ctx context.Context, options Options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if options.Silence <= 0 {
		options.Silence = pod.Silence
	}
	a := &Agent{
		options: options, end: cancel, kept: keep{content: map[string][]byte{}}, taken: answers{given: map[question]answer{}},
		visitors: map[*visitor]bool{}, changed: make(chan struct{}),
	}
	for i := range options.Containers {
		a.containers = append(a.containers, &container{number: i, registered: make(chan struct{}), begun: make(chan struct{})})
	}
	a.alone = time.AfterFunc(options.Unattended, func() { cancel(ErrUnattended) })
	defer a.alone.Stop()
	defer a.working.Wait()
	defer cancel(nil)
	for socket, serve := range map[string]func(context.Context, net.Conn){options.AttachSocket: a.attach, options.StepSocket: a.introduce} {
		if err := a.listen(ctx, socket, serve); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return errors.Join(context.Cause(ctx), os.WriteFile(options.StepSocket+pod.EndedSuffix, nil, 0o644))
}

// listen serves connections, each in a goroutine of its own, until ctx ends.
func (a *Agent) listen(ctx context.Context, socket string, serve func(context.Context, net.Conn)) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return err
	}
	// Steps may run as another user; who they are, their passes tell.
	if err := os.Chmod(socket, 0o666); err != nil {
		return errors.Join(err, listener.Close())
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	a.working.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed with ctx
			}
			a.working.Go(func() {
				defer func() { _ = conn.Close() }()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				serve(ctx, conn)
			})
		}
	})
	return nil
}

// introduce takes the connection of a step's first process.
func (a *Agent) introduce(ctx context.Context, conn net.Conn) {
	if conn.SetReadDeadline(time.Now().Add(introduceTime)) != nil {
		return
	}
	line, err := readLine(conn)
	if err != nil || conn.SetReadDeadline(time.Time{}) != nil {
		return
	}
	number, pass, _ := strings.Cut(line, " ")
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= len(a.containers) || subtle.ConstantTimeCompare([]byte(pass), []byte(pod.Pass(a.options.Key, i))) != 1 {
		return
	}
	a.containers[i].serve(ctx, conn)
}

// readLine reads no byte more than a line.
func readLine(from io.Reader) (string, error) {
	var line []byte
	reader := bufio.NewReaderSize(io.LimitReader(from, 1), 16)
	for len(line) < maxIntroduction {
		reader.Reset(io.LimitReader(from, 1))
		b, err := reader.ReadByte()
		if err != nil {
			return "", err
		}
		if b == '\n' {
			return string(line), nil
		}
		line = append(line, b)
	}
	return "", errors.New("too long a line")
}

func (a *Agent) do(ctx context.Context, v *visitor, x channel.Exchange) (channel.Result, error) {
	if claim := x.Request.Claim; claim != nil {
		err := a.claim(ctx, v, *claim)
		return channel.Result{Sizes: a.sizes()}, err
	}
	if !a.holds(v) {
		return channel.Result{}, errHeld
	}
	switch request := x.Request; {
	case request.Unpack != nil:
		return channel.Result{}, a.unpack(x.Input)
	case request.Write != nil:
		return channel.Result{}, a.write(*request.Write, x.Input)
	case request.Take != nil:
		return channel.Result{}, a.take(*request.Take, x.Stdout)
	case request.Keep != nil:
		return channel.Result{}, a.kept.put(request.Keep.Name, x.Input)
	case request.Recall != nil:
		return channel.Result{}, a.kept.send(request.Recall.Name, x.Stdout)
	case request.PowerOff != nil:
		a.end(ErrEnded)
		return channel.Result{}, nil
	case request.Begin != nil:
		return channel.Result{}, a.begin(ctx, *request.Begin, x.Signals)
	case request.Follow != nil:
		return a.follow(ctx, *request.Follow, x)
	}
	return channel.Result{}, errors.New("the request asks for nothing that this agent knows")
}

// sizes are what the steps have written.
func (a *Agent) sizes() []int64 {
	var all []int64
	for _, c := range a.containers {
		all = append(all, c.written())
	}
	return all
}

func (a *Agent) container(i int) (*container, error) {
	if i < 0 || i >= len(a.containers) {
		return nil, fmt.Errorf("there is no container %d among %d", i, len(a.containers))
	}
	return a.containers[i], nil
}

func (a *Agent) begin(ctx context.Context, b channel.Begin, signals <-chan channel.Signal) error {
	c, err := a.container(b.Container)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.began = true
	a.mu.Unlock()
	return c.begin(ctx, filepath.Join(a.options.PrivateDir, fmt.Sprintf("output-%d", b.Container)), b.Program, signals)
}

func (a *Agent) follow(ctx context.Context, f channel.Follow, x channel.Exchange) (channel.Result, error) {
	c, err := a.container(f.Container)
	if err != nil {
		return channel.Result{}, err
	}
	return c.follow(ctx, f.Offset, x)
}
