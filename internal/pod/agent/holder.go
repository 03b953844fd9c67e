package agent

import (
	"context"
	"net"
	"time"

	"github.com/open-executor/executor/internal/vm/channel"
)

// visitor is one connection of an executor.
type visitor struct {
	// holder is who it has shown to be.
	holder string
}

// attach serves an executor.
func (a *Agent) attach(ctx context.Context, conn net.Conn) {
	v := &visitor{}
	a.mu.Lock()
	a.visitors[v] = true
	a.alone.Stop()
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if delete(a.visitors, v); len(a.visitors) == 0 {
			a.alone.Reset(a.options.Unattended)
		}
		a.notify()
	}()
	// It ends with the connection, and what goes on goes on.
	_ = channel.Serve(ctx, impatient{conn, a.options.Silence}, func(ctx context.Context, x channel.Exchange) channel.Result {
		result, err := a.do(ctx, v, x)
		if err != nil {
			result.Error = channel.ErrorOf(err)
		}
		return result
	})
}

// impatient ends a connection on which nothing comes: one that ended without a word, as that of a lost node, must not keep others from the pod.
type impatient struct {
	net.Conn
	limit time.Duration
}

func (c impatient) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// notify wakes those who want the pod. The caller holds the lock.
func (a *Agent) notify() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// attended tells whether the holder is attached. The caller holds the lock.
func (a *Agent) attended() bool {
	for v := range a.visitors {
		if v.holder == a.holder {
			return true
		}
	}
	return false
}

// claim gives the pod to a visitor, or says that it is another's. A visitor that doesn't name itself only hears whether it would be given it.
func (a *Agent) claim(ctx context.Context, v *visitor, c channel.Claim) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.holder != "" && a.holder != c.Holder {
		if err := a.orphaned(ctx, c.After); err != nil {
			return err
		}
	}
	if c.Holder != "" {
		a.holder, v.holder = c.Holder, c.Holder
		a.notify()
	}
	return nil
}

// orphaned waits until the holder has not been attached for a time. It is errHeld when the holder doesn't leave in that time, or comes back. The caller holds
// the lock.
func (a *Agent) orphaned(ctx context.Context, patience time.Duration) error {
	if patience <= 0 {
		return errHeld
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for attended := a.attended(); ; {
		changed, over := a.changed, false
		a.mu.Unlock()
		select {
		case <-changed:
		case <-timer.C:
			over = true
		case <-ctx.Done():
		}
		a.mu.Lock()
		before := attended
		attended = a.attended()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case attended && (over || !before):
			return errHeld
		case over && !before:
			return nil
		case before && !attended:
			timer.Reset(patience)
		}
	}
}

var errHeld = &channel.Error{Reason: channel.ReasonHeld, Message: "another executor holds this pod"}

// holds tells whether a visitor is the holder's.
func (a *Agent) holds(v *visitor) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return v.holder != "" && v.holder == a.holder
}
