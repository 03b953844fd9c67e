package imagedisk

import (
	"context"
	"errors"
	"sync"
)

// errClosed ends what waits for a store that is closed.
var errClosed = errors.New("the store of disk images is closed")

// flights lets callers that want the same thing wait for one doer. It goes on while one of them waits.
type flights struct {
	mu     sync.Mutex
	going  map[string]*flight
	closed bool
	wg     sync.WaitGroup
	ctx    context.Context
	cancel context.CancelCauseFunc
}

type flight struct {
	cancel  context.CancelCauseFunc
	done    chan struct{}
	err     error
	waiters int
}

func newFlights() *flights {
	f := &flights{going: map[string]*flight{}}
	f.ctx, f.cancel = context.WithCancelCause(context.Background())
	return f
}

// do returns what do returns, run by this caller or an earlier one for the same key, or ctx's cause when that ends before.
func (f *flights) do(ctx context.Context, key string, do func(context.Context) error) error {
	joined, err := f.join(key, do)
	if err != nil {
		return err
	}
	select {
	case <-joined.done:
		return joined.err
	case <-ctx.Done():
		f.leave(key, joined, context.Cause(ctx))
		return context.Cause(ctx)
	}
}

func (f *flights) join(key string, do func(context.Context) error) (*flight, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, errClosed
	}
	joined := f.going[key]
	if joined == nil {
		ctx, cancel := context.WithCancelCause(f.ctx)
		joined = &flight{cancel: cancel, done: make(chan struct{})}
		f.going[key] = joined
		f.wg.Go(func() {
			joined.err = do(ctx)
			cancel(nil)
			f.land(key, joined)
		})
	}
	joined.waiters++
	return joined, nil
}

// leave ends a flight with its last waiter. Who comes after starts another one.
func (f *flights) leave(key string, left *flight, cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if left.waiters--; left.waiters > 0 {
		return
	}
	left.cancel(cause)
	if f.going[key] == left {
		delete(f.going, key)
	}
}

func (f *flights) land(key string, landed *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.going[key] == landed {
		delete(f.going, key)
	}
	close(landed.done)
}

// close ends all flights and waits for their end.
func (f *flights) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cancel(errClosed)
	f.wg.Wait()
}
