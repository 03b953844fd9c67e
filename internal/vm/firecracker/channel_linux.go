package firecracker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// agentPort is where the guest agent listens (guest.VsockPort).
	agentPort = 1024
	// retry is between two connections to an agent that doesn't listen yet.
	retry = 10 * time.Millisecond
	// maxGreeting bounds the monitor's answer to a connection: "OK", a port, and the end of the line.
	maxGreeting = 16
)

// channelConn is the connection to the guest agent, which is made with the first byte that is read or written: the guest is still booting
// when the caller gets it, and one that is to become a snapshot must not be connected to. Safe for concurrent use as any net.Conn.
//
// The monitor has one socket for all of the guest's ports: the host writes "CONNECT 1024", and once the agent has taken the connection, the
// monitor answers "OK" and a port (docs/vsock.md of Firecracker). It hangs up when nobody listens there.
type channelConn struct {
	dial   func(context.Context) (net.Conn, error)
	timing timing
	// life ends when the connection is closed or the machine has ended.
	life context.Context
	end  context.CancelCauseFunc

	begin sync.Once
	// used tells whether somebody has read or written.
	used atomic.Bool
	// made is closed when conn or err is set.
	made chan struct{}
	conn net.Conn
	err  error

	mu             sync.Mutex
	reading, write time.Time
	// changed is closed when a deadline is set.
	changed chan struct{}
}

func newChannel(life context.Context, timing timing, dial func(context.Context) (net.Conn, error)) *channelConn {
	c := &channelConn{dial: dial, timing: timing, made: make(chan struct{}), changed: make(chan struct{})}
	c.life, c.end = context.WithCancelCause(life)
	return c
}

func (c *channelConn) Read(p []byte) (int, error) {
	if err := c.await(&c.reading); err != nil {
		return 0, err
	}
	return c.conn.Read(p)
}

func (c *channelConn) Write(p []byte) (int, error) {
	if err := c.await(&c.write); err != nil {
		return 0, err
	}
	return c.conn.Write(p)
}

// await waits until the connection is made, or until a deadline.
func (c *channelConn) await(deadline *time.Time) error {
	c.begin.Do(func() {
		c.used.Store(true)
		go c.make()
	})
	for {
		select {
		case <-c.made: // it has the deadlines itself
			return c.err
		default:
		}
		c.mu.Lock()
		at, changed := *deadline, c.changed
		c.mu.Unlock()
		var passed <-chan time.Time
		if !at.IsZero() {
			passed = time.After(time.Until(at))
		}
		select {
		case <-c.made:
			return c.err
		case <-changed:
		case <-passed:
			return os.ErrDeadlineExceeded
		}
	}
}

func (c *channelConn) make() {
	ctx, cancel := context.WithTimeoutCause(c.life, c.timing.dial, fmt.Errorf("the guest agent did not take the connection within %s", c.timing.dial))
	defer cancel()
	conn, err := c.connect(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.conn = conn
		err = errors.Join(conn.SetReadDeadline(c.reading), conn.SetWriteDeadline(c.write))
	}
	if err != nil {
		c.err = fmt.Errorf("connecting to the guest: %w", err)
	}
	close(c.made)
}

// errNobody says that the agent doesn't listen yet.
var errNobody = errors.New("nobody listens")

// connect tries until the agent has taken a connection. There is one at a time, and none is given up before the monitor has: the agent takes
// the first that comes, and must not take one that is dead.
func (c *channelConn) connect(ctx context.Context) (net.Conn, error) {
	for {
		conn, err := persist(ctx, c.dial)
		if err == nil {
			if err = c.greet(ctx, conn); err == nil {
				return conn, nil
			}
			_ = conn.Close() // it is lost
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !errors.Is(err, errNobody) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(retry):
		}
	}
}

// greet asks for the agent's port. Not a byte after the answer is read. It leaves a deadline behind.
func (c *channelConn) greet(ctx context.Context, conn net.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := fmt.Fprintf(conn, "CONNECT %d\n", agentPort); err != nil {
		return hungUp(err)
	}
	var answer []byte
	for letter := make([]byte, 1); ; {
		if _, err := io.ReadFull(conn, letter); err != nil {
			if len(answer) == 0 {
				return hungUp(err)
			}
			return fmt.Errorf("the monitor's answer %q has no end: %w", answer, err)
		}
		if letter[0] == '\n' {
			break
		}
		if answer = append(answer, letter[0]); len(answer) == maxGreeting {
			return fmt.Errorf("the monitor answers %q, which has no end", answer)
		}
		if len(answer) == 1 {
			if err := conn.SetReadDeadline(time.Now().Add(c.timing.answer)); err != nil {
				return err
			}
		}
	}
	port, ok := strings.CutPrefix(string(answer), "OK ")
	if _, err := strconv.ParseUint(port, 10, 32); !ok || err != nil {
		return fmt.Errorf("the monitor answers %q, not OK and a port", answer)
	}
	if !stop() { // the deadline may come at any time now
		return context.Cause(ctx)
	}
	return nil
}

// hungUp takes the end of a connection for what it means before there was an answer.
func hungUp(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return errNobody
	}
	return err
}

// Close may be called more than once.
func (c *channelConn) Close() error {
	c.end(net.ErrClosed)
	c.begin.Do(func() {
		c.err = net.ErrClosed
		close(c.made)
	})
	<-c.made
	if c.conn != nil {
		if err := c.conn.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}

// SetDeadline implements net.Conn.
func (c *channelConn) SetDeadline(t time.Time) error { return c.set(&t, &t) }

// SetReadDeadline implements net.Conn.
func (c *channelConn) SetReadDeadline(t time.Time) error { return c.set(&t, nil) }

// SetWriteDeadline implements net.Conn.
func (c *channelConn) SetWriteDeadline(t time.Time) error { return c.set(nil, &t) }

func (c *channelConn) set(reading, write *time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
	var err error
	if reading != nil {
		c.reading = *reading
		if c.conn != nil {
			err = c.conn.SetReadDeadline(c.reading)
		}
	}
	if write != nil {
		c.write = *write
		if c.conn != nil {
			err = errors.Join(err, c.conn.SetWriteDeadline(c.write))
		}
	}
	return err
}

// LocalAddr implements net.Conn.
func (c *channelConn) LocalAddr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// RemoteAddr implements net.Conn.
func (c *channelConn) RemoteAddr() net.Addr { return &net.UnixAddr{Net: "unix", Name: vsockSocket} }
