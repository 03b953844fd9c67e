package channel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/open-executor/executor/internal/fault"
)

// Streams are a call's input and output; nil members are empty or dropped.
type Streams struct {
	// Input is read to its end in the background; whoever gives one that blocks ends it with the call.
	Input          io.Reader
	Stdout, Stderr io.Writer
}

// Call is one request under way.
type Call struct {
	client  *Client
	stream  uint32
	streams Streams
	sending sync.WaitGroup

	// failed is the first error of the streams.
	mu     sync.Mutex
	failed error

	result Result
	done   chan struct{}
}

// Do makes a request and waits for its result. When ctx ends first the request goes on in the guest; it is for those that take no
// longer than the guest needs to answer.
func (c *Client) Do(ctx context.Context, request Request, streams Streams) (Result, error) {
	call, err := c.Start(request, streams)
	if err != nil {
		return Result{}, err
	}
	return call.Wait(ctx)
}

// Start makes a request.
func (c *Client) Start(request Request, streams Streams) (*Call, error) {
	call := &Call{client: c, streams: streams, done: make(chan struct{})}
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return nil, c.err
	}
	c.last++
	call.stream = c.last
	c.calls[call.stream] = call
	c.mu.Unlock()
	if err := c.sendMessage(kindRequest, call.stream, request); err != nil {
		c.mu.Lock()
		delete(c.calls, call.stream)
		c.mu.Unlock()
		return nil, err
	}
	if streams.Input != nil {
		call.sending.Go(call.sendInput)
	}
	return call, nil
}

func (c *Call) sendInput() {
	buffer := make([]byte, MaxPayload/2)
	for {
		n, err := c.streams.Input.Read(buffer)
		select {
		case <-c.done:
			return
		case <-c.client.done:
			return
		default:
		}
		if n > 0 {
			if err := c.client.send(kindInput, c.stream, buffer[:n]); err != nil {
				return // the connection is gone, and Wait says why
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				c.fail(fmt.Errorf("reading the input: %w", err))
			}
			_ = c.client.send(kindInputEnd, c.stream, nil)
			return
		}
	}
}

func (c *Call) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
}

func (c *Call) write(k kind, payload []byte) {
	to := c.streams.Stdout
	if k == kindStderr {
		to = c.streams.Stderr
	}
	if to == nil {
		return
	}
	if _, err := to.Write(payload); err != nil {
		c.fail(err)
	}
}

func (c *Call) finish(payload []byte) error {
	if err := decode(payload, &c.result); err != nil {
		return err
	}
	if e := c.result.Error; e != nil && len(e.Message) > maxMessage {
		e.Message = e.Message[:maxMessage]
	}
	close(c.done)
	return nil
}

// Signal sends a signal, or a terminal's size, to what the request has started. One that comes too late is lost.
func (c *Call) Signal(signal Signal) error {
	select {
	case <-c.done:
		return nil
	default:
		return c.client.sendMessage(kindSignal, c.stream, signal)
	}
}

// Done is closed when the result is there.
func (c *Call) Done() <-chan struct{} { return c.done }

// Wait returns the result once all output was written. What the guest says of the request itself is an *Error with a class; else the error is
// why the connection or ctx ended, or the first of the streams.
func (c *Call) Wait(ctx context.Context) (Result, error) {
	select {
	case <-c.done:
	case <-ctx.Done():
	case <-c.client.done:
	}
	select {
	case <-c.done: // perhaps just before one of the others
	default:
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		return Result{}, c.client.Err()
	}
	if e := c.result.Error; e != nil {
		return c.result, fault.As(e.class(), e)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.result, c.failed
}
