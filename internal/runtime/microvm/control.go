package microvm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/vm/channel"
)

// Names in a machine's directory.
const (
	socketName = "control"
	aboutName  = "about.json"
)

// About says what a machine is for.
type About struct {
	Name     string    `json:"name"`
	Executor string    `json:"executor"`
	Queue    string    `json:"queue"`
	Job      int64     `json:"job"`
	Since    time.Time `json:"since"`
	// Kept is true once the job is over.
	Kept bool `json:"kept"`
}

// control lets people of this host look into a machine: it serves the guest's own protocol on a socket in the machine's directory, which only the
// executor's user can enter. A Program goes to the guest; PowerOff ends the machine.
type control struct {
	machine  *machine
	dir      *os.File
	listener net.Listener
	// end is called once when somebody ends the machine. It must not wait for that.
	end func()

	serving sync.WaitGroup
	mu      sync.Mutex
	conns   map[net.Conn]bool
	closed  bool
	done    chan struct{}
}

// serveControl begins to serve.
func serveControl(m *machine, about About, end func()) (*control, error) {
	c := &control{machine: m, end: sync.OnceFunc(end), conns: map[net.Conn]bool{}, done: make(chan struct{})}
	if err := c.tell(about); err != nil {
		return nil, err
	}
	var err error
	if c.dir, err = os.Open(m.dir); err != nil {
		return nil, err
	}
	if c.listener, err = net.Listen("unix", socketIn(c.dir)); err != nil {
		return nil, errors.Join(fmt.Errorf("the machine's control socket: %w", err), c.dir.Close())
	}
	c.serving.Go(c.accept)
	c.serving.Go(func() {
		select {
		case <-m.client.Done(): // there is nothing to look into any more
			_ = c.hangUp()
		case <-c.done:
		}
	})
	return c, nil
}

// socketIn is the path of the socket in a directory that is open: the real one may be longer than the 107 bytes that an address holds (unix(7)).
func socketIn(dir *os.File) string { return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), socketName) }

// dial connects to the socket in a machine's directory.
func dial(ctx context.Context, dir string) (net.Conn, error) {
	open, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = open.Close() }()
	return new(net.Dialer).DialContext(ctx, "unix", socketIn(open))
}

// tell writes what List reads.
func (c *control) tell(about About) error {
	text, err := json.Marshal(about)
	if err != nil {
		return err
	}
	path := filepath.Join(c.machine.dir, aboutName)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (c *control) accept() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return // it is closed
		}
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			_ = conn.Close()
			return
		}
		c.conns[conn] = true
		c.mu.Unlock()
		c.serving.Go(func() {
			// The end of the connection is all that can be told of it.
			_ = channel.Serve(context.Background(), prompt{conn}, c.handle)
			c.mu.Lock()
			delete(c.conns, conn)
			c.mu.Unlock()
			_ = conn.Close()
		})
	}
}

func (c *control) handle(ctx context.Context, x channel.Exchange) channel.Result {
	switch {
	case x.Request.PowerOff != nil:
		c.end()
		return channel.Result{}
	case x.Request.Program == nil:
		return channel.Result{Error: &channel.Error{Reason: channel.ReasonUser, Message: "only programs can be run from outside"}}
	}
	call, err := c.machine.client.Start(x.Request, channel.Streams{Input: x.Input, Stdout: x.Stdout, Stderr: x.Stderr})
	if err != nil {
		return failure(err)
	}
	for {
		select {
		case signal, open := <-x.Signals:
			if !open {
				signal = channel.Signal{Number: unix.SIGKILL}
				x.Signals = nil
			}
			if err := call.Signal(signal); err != nil {
				return failure(err)
			}
			continue
		case <-call.Done():
		case <-c.machine.client.Done():
		}
		result, err := call.Wait(ctx)
		if err != nil && result.Error == nil {
			return failure(err)
		}
		return result
	}
}

// readTime is how long somebody who looks into a machine may leave its output unread: that of the job waits meanwhile.
const readTime = 10 * time.Second

// prompt is a connection to somebody who has to read.
type prompt struct{ net.Conn }

func (p prompt) Write(b []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(readTime)); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}

func failure(err error) channel.Result {
	return channel.Result{Error: &channel.Error{Reason: channel.ReasonGuest, Message: err.Error()}}
}

// close ends the serving.
func (c *control) close() error {
	if c == nil || c.listener == nil {
		return nil
	}
	err := c.hangUp()
	c.serving.Wait()
	return err
}

// hangUp closes what is open, once.
func (c *control) hangUp() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	close(c.done)
	err := errors.Join(c.listener.Close(), c.dir.Close())
	for conn := range c.conns {
		err = errors.Join(err, conn.Close())
	}
	return err
}
