package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/open-executor/executor/internal/pod/spool"
	"github.com/open-executor/executor/internal/vm/channel"
)

// container is a step's, which may not have started yet.
type container struct {
	number int

	mu sync.Mutex
	// taken is true once a connection has shown the pass.
	taken bool
	// registered is closed once client is there.
	registered chan struct{}
	client     *channel.Client

	// begun is closed once the step is under way: spool and call are there.
	starting bool
	begun    chan struct{}
	spool    *spool.Spool
	call     *channel.Call
	result   channel.Result
	err      error
}

// serve holds the connection of the container's first process until the step has ended.
func (c *container) serve(ctx context.Context, conn net.Conn) {
	c.mu.Lock()
	first := !c.taken
	c.taken = true
	c.mu.Unlock()
	if !first {
		return
	}
	client, err := channel.Connect(ctx, conn, channel.Timing{Silence: stepSilence, Write: stepSilence})
	if err != nil {
		return
	}
	defer func() { _ = client.Close() }()
	c.client = client
	close(c.registered)
	select {
	case <-c.begun:
	case <-client.Done():
	case <-ctx.Done():
	}
	if !c.isBegun() {
		return
	}
	result, err := c.call.Wait(ctx)
	c.mu.Lock()
	c.result, c.err = result, err
	c.mu.Unlock()
	c.spool.End()
}

// isBegun tells whether the step has begun, and keeps it from beginning when it hasn't: the container has ended.
func (c *container) isBegun() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.starting {
		c.starting, c.err = true, errors.New("the container ended before its step began")
	}
	return c.call != nil
}

// begin begins the step unless it has begun. A signal that comes before the container does keeps it from beginning.
func (c *container) begin(ctx context.Context, path string, program channel.Program, signals <-chan channel.Signal) error {
	select {
	case <-c.registered:
	case <-signals:
		return errors.New("stopped before its container was there")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.starting {
		return c.err
	}
	c.starting = true
	output, err := spool.Create(path)
	if err == nil {
		c.spool = output
		c.call, err = c.client.Start(channel.Request{Program: &program}, channel.Streams{Stdout: output.Stream(spool.Stdout), Stderr: output.Stream(spool.Stderr)})
	}
	if err != nil {
		c.err = fmt.Errorf("beginning the step: %w", err)
		return c.err
	}
	close(c.begun)
	return nil
}

// written is how many bytes of records there are.
func (c *container) written() int64 {
	select {
	case <-c.begun:
		return c.spool.Size()
	default:
		return 0
	}
}

// follow copies the step's output to its end, and returns its result. Signals go to the step.
func (c *container) follow(ctx context.Context, offset int64, x channel.Exchange) (channel.Result, error) {
	select {
	case <-c.begun:
	default:
		return channel.Result{}, errors.New("the step has not begun")
	}
	ended := make(chan struct{})
	var passing sync.WaitGroup
	defer passing.Wait()
	defer close(ended)
	passing.Go(func() {
		for signals := x.Signals; ; {
			select {
			case signal, open := <-signals:
				if !open {
					return
				}
				_ = c.call.Signal(signal) // the step may have ended
			case <-ended:
				return
			}
		}
	})
	if err := c.spool.CopyTo(ctx, x.Stdout, offset); err != nil {
		return channel.Result{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.result, c.err
}
