package microvm

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/channel"
	"github.com/open-executor/executor/internal/vm/console"
)

// script plays a guest. It returns once ctx has ended and the guest's end of the channel is closed. The machine runs on when it returns before.
type script func(ctx context.Context, g *guest)

// guest is what a script has.
type guest struct {
	// Conn is the guest's end of the channel. Each Write goes out in one piece.
	net.Conn
	instance *instance
	// mute guests drop what they are to write, deaf ones stop to read.
	mute, deaf atomic.Bool
	// stream is that of the last request; for scripts that serve one at a time.
	stream atomic.Uint32
	// got are the signals that came so far.
	mu  sync.Mutex
	got []syscall.Signal
}

func (g *guest) Write(p []byte) (int, error) {
	if g.mute.Load() {
		return len(p), nil
	}
	return g.Conn.Write(p)
}

func (g *guest) Read(p []byte) (int, error) {
	if g.deaf.Load() {
		<-g.instance.done
	}
	return g.Conn.Read(p)
}

// die ends the machine as if its monitor had been killed.
func (g *guest) die() { g.instance.end() }

func (g *guest) signalled(signal channel.Signal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.got = append(g.got, signal.Number)
}

func (g *guest) signals() []syscall.Signal {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.got)
}

// Kinds of frames, as on the wire (package channel).
const (
	kindHello   = 1
	kindRequest = 2
	kindStdout  = 6
	kindResult  = 8
)

// header begins a frame that claims that length.
func header(kind byte, stream, length uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte{kind}, stream), length)
}

// frame is one that tells the truth about its length.
func frame(kind byte, stream uint32, payload string) []byte {
	return append(header(kind, stream, uint32(len(payload))), payload...)
}

// say makes a script that writes bytes; what the host sends isn't read.
func say(text []byte) script {
	return func(_ context.Context, g *guest) { _, _ = g.Write(text) }
}

// serve makes a guest that boots well and does what it is asked by handle.
func serve(handle func(ctx context.Context, g *guest, x channel.Exchange) channel.Result) script {
	return func(ctx context.Context, g *guest) {
		_ = channel.Serve(ctx, g, func(ctx context.Context, x channel.Exchange) channel.Result {
			g.stream.Add(1)
			return handle(ctx, g, x)
		})
	}
}

// steps makes a guest that is at fault with what jobs ask for alone.
func steps(handle func(ctx context.Context, g *guest, x channel.Exchange) channel.Result) script {
	return serve(func(ctx context.Context, g *guest, x channel.Exchange) channel.Result {
		if r := x.Request; r.Container == nil && r.Program == nil && r.Take == nil {
			return channel.Result{}
		}
		return handle(ctx, g, x)
	})
}

// honest does nothing, and that well.
var honest = steps(func(context.Context, *guest, channel.Exchange) channel.Result { return channel.Result{} })

// driver is a vm.Driver without machines.
type driver struct {
	play script

	mu      sync.Mutex
	started []*instance
}

func (d *driver) Start(_ context.Context, machine vm.Machine) (vm.Instance, error) {
	host, far := net.Pipe()
	i := &instance{machine: machine, host: host, done: make(chan struct{}), swapped: map[int]string{}}
	i.guest = &guest{Conn: far, instance: i}
	ctx, cancel := context.WithCancel(context.Background())
	i.end = sync.OnceFunc(func() {
		cancel()
		_ = far.Close()
		close(i.done)
	})
	i.playing.Go(func() { d.play(ctx, i.guest) })
	d.mu.Lock()
	defer d.mu.Unlock()
	d.started = append(d.started, i)
	return i, nil
}

// instances are those started so far.
func (d *driver) instances() []*instance {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.started)
}

// instance is a vm.Instance without a monitor.
type instance struct {
	machine vm.Machine
	host    net.Conn
	guest   *guest
	console console.Tail
	playing sync.WaitGroup
	done    chan struct{}
	end     func()

	mu      sync.Mutex
	swapped map[int]string
	closed  int
}

func (i *instance) Channel() net.Conn     { return i.host }
func (i *instance) Console() []byte       { return i.console.Bytes() }
func (i *instance) Done() <-chan struct{} { return i.done }

func (i *instance) Swap(_ context.Context, drive int, file *os.File) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.swapped[drive] = file.Name()
	return nil
}

func (i *instance) Close() error {
	i.end()
	i.playing.Wait()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed++
	return nil
}

// ended tells whether the machine runs no more.
func (i *instance) ended() bool {
	select {
	case <-i.done:
		return true
	default:
		return false
	}
}
