package channel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/open-executor/executor/internal/fault"
)

// Bounds of waits for the guest, unless Timing says otherwise.
const (
	defaultSilence = time.Minute
	defaultWrite   = 30 * time.Second
)

// ErrUnresponsive is the end of a connection whose guest did not answer in time.
var ErrUnresponsive = errors.New("the guest does not answer")

// Timing bounds waits; zero members have defaults.
type Timing struct {
	// Silence is how long a guest may leave pings unanswered.
	Silence time.Duration
	// Write is how long it may leave bytes unread.
	Write time.Duration
	// Steady asks also a guest that is not silent: so it hears that the host is there.
	Steady bool
}

// Client is the host's end. Safe for concurrent use.
type Client struct {
	conn   net.Conn
	timing Timing

	out *writer

	mu    sync.Mutex
	calls map[uint32]*Call
	last  uint32
	err   error
	// heard is when the last frame came; it is not counted while busy, when the host itself is slow in taking output.
	heard time.Time
	busy  bool

	done   chan struct{}
	routes sync.WaitGroup
}

// Connect waits for the guest's Hello, for as long as ctx allows, and returns the client. It owns conn, also on error.
func Connect(ctx context.Context, conn net.Conn, timing Timing) (*Client, error) {
	if timing.Silence <= 0 {
		timing.Silence = defaultSilence
	}
	if timing.Write <= 0 {
		timing.Write = defaultWrite
	}
	from := &reader{from: conn, limit: MaxPayload}
	if err := greet(ctx, conn, from); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c := &Client{
		conn: conn, timing: timing, out: &writer{to: patient{conn, timing.Write}, limit: MaxRequest},
		calls: map[uint32]*Call{}, heard: time.Now(), done: make(chan struct{}),
	}
	c.routes.Go(func() { c.fail(c.receive(from)) })
	c.routes.Go(c.watch)
	return c, nil
}

func greet(ctx context.Context, conn net.Conn, from *reader) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	f, err := from.next()
	if !stop() {
		return fmt.Errorf("waiting for the guest agent: %w", context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("waiting for the guest agent: %w", err)
	}
	var said hello
	if f.kind != kindHello {
		return fmt.Errorf("%w: it began with a frame of kind %d", ErrProtocol, f.kind)
	}
	if err := decode(f.payload, &said); err != nil {
		return err
	}
	if said.Version != Version {
		return fmt.Errorf("%w: it speaks version %d, this host %d; make its initramfs anew (executor install kernel)", ErrProtocol, said.Version, Version)
	}
	return nil
}

// Done is closed when the connection has ended; Err says why then.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is why the connection ended.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection and with it all calls.
func (c *Client) Close() error {
	c.fail(net.ErrClosed)
	c.routes.Wait()
	return nil
}

// fail ends the connection for a reason; the first one counts.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("the guest has closed its channel: %w", io.ErrUnexpectedEOF)
	}
	c.err = err
	close(c.done)
	_ = c.conn.Close() // it is lost either way
}

// receive hands on what the guest sends until the connection ends.
func (c *Client) receive(from *reader) error {
	for {
		f, err := from.next()
		if err != nil {
			return err
		}
		c.mark(true)
		if err := c.take(f); err != nil {
			return err
		}
		c.mark(false)
	}
}

func (c *Client) mark(busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard, c.busy = time.Now(), busy
}

func (c *Client) take(f frame) error {
	switch f.kind {
	case kindPong:
		return nil
	case kindStdout, kindStderr, kindResult:
	default:
		return fmt.Errorf("%w: a guest sends no frame of kind %d", ErrProtocol, f.kind)
	}
	c.mu.Lock()
	call := c.calls[f.stream]
	if f.kind == kindResult {
		delete(c.calls, f.stream)
	}
	c.mu.Unlock()
	switch {
	case call == nil:
		return fmt.Errorf("%w: frame of stream %d, which is not open", ErrProtocol, f.stream)
	case f.kind == kindResult:
		return call.finish(f.payload)
	}
	call.write(f.kind, f.payload)
	return nil
}

// watch asks a silent guest whether it is there.
func (c *Client) watch() {
	ticker := time.NewTicker(c.timing.Silence / 4)
	defer ticker.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-ticker.C:
		}
		c.mu.Lock()
		silent, busy := time.Since(c.heard), c.busy
		c.mu.Unlock()
		quiet := !busy && silent >= c.timing.Silence/4
		switch {
		case !busy && silent > c.timing.Silence:
			c.fail(fmt.Errorf("%w: nothing for %s", ErrUnresponsive, c.timing.Silence))
		case quiet || c.timing.Steady:
			_ = c.send(kindPing, 0, nil) // a failure ends the connection
		}
	}
}

// patient gives a guest that doesn't read only so much time.
type patient struct {
	net.Conn
	limit time.Duration
}

func (p patient) Write(b []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(p.limit)); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}

// send writes one frame. A guest that doesn't take it ends the connection.
func (c *Client) send(k kind, stream uint32, payload []byte) error {
	return c.sent(c.out.send(k, stream, payload))
}

// sendMessage writes a message as send does. One that is too large is the job's fault, and ends nothing.
func (c *Client) sendMessage(k kind, stream uint32, message any) error {
	err := c.out.sendMessage(k, stream, message)
	if errors.Is(err, errTooLarge) {
		return fault.Userf("the request to the guest: %w: shorten the environment", err)
	}
	return c.sent(err)
}

// sent takes a failure to write for the end of the connection.
func (c *Client) sent(err error) error {
	if err != nil {
		err = fmt.Errorf("sending to the guest: %w", err)
		c.fail(err)
	}
	return err
}
