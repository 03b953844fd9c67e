package microvm

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sourcegraph/log"
)

var errClosed = errors.New("the microVM runtime is closed")

// pool keeps machines booted for jobs to come. A machine leaves it once, with a job, and never comes back.
type pool struct {
	logger log.Logger
	size   int
	start  func(ctx context.Context, dir string) (*machine, error)

	// ctx ends with the pool.
	ctx    context.Context
	cancel context.CancelCauseFunc
	boots  sync.WaitGroup

	mu   sync.Mutex
	idle []*machine
	// booting are the machines to come that no job waits for, direct those that jobs boot themselves.
	booting, direct int
	waiting         []chan booted
	closed          bool
}

// booted is a machine, or why there is none.
type booted struct {
	machine *machine
	err     error
}

func newPool(logger log.Logger, size int, start func(ctx context.Context, dir string) (*machine, error)) *pool {
	p := &pool{logger: logger, size: size, start: start}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	return p
}

// refillAfter is how long after a job took a machine the pool boots the next one: the job's start has better use for the processor.
const refillAfter = time.Second

// take returns a machine for a job, and whether it was ready before. A job takes the machine that is next to come, else it boots one itself, with
// the files of dir on its disk.
func (p *pool) take(ctx context.Context, dir string) (m *machine, warm bool, err error) {
	m, next, err := p.claim()
	switch {
	case err != nil:
		return nil, false, err
	case m != nil:
		time.AfterFunc(refillAfter, p.fill)
		return m, true, nil
	case next != nil:
		return p.await(ctx, next)
	}
	return p.boot(ctx, dir)
}

// claim takes an idle machine, or the right to the next one.
func (p *pool) claim() (*machine, chan booted, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, errClosed
	}
	for i, m := range p.idle {
		if m.alive() {
			p.idle = append(p.idle[:i:i], p.idle[i+1:]...)
			return m, nil, nil
		}
	}
	if p.booting > 0 {
		p.booting--
		next := make(chan booted, 1)
		p.waiting = append(p.waiting, next)
		return nil, next, nil
	}
	p.direct++
	return nil, nil, nil
}

// await waits for a machine that the pool boots already.
func (p *pool) await(ctx context.Context, next chan booted) (*machine, bool, error) {
	select {
	case b := <-next:
		time.AfterFunc(refillAfter, p.fill)
		return b.machine, false, b.err
	case <-ctx.Done():
	}
	return nil, false, errors.Join(context.Cause(ctx), p.forgo(next))
}

// forgo gives up the right to a machine that the pool boots.
func (p *pool) forgo(next chan booted) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, waiting := range p.waiting {
		if waiting == next {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			p.booting++
			return nil
		}
	}
	// It came at the same moment.
	switch b := <-next; {
	case b.err != nil:
		return nil
	case p.closed:
		return b.machine.close()
	default:
		p.idle = append(p.idle, b.machine)
		return nil
	}
}

func (p *pool) boot(ctx context.Context, dir string) (*machine, bool, error) {
	m, err := p.start(ctx, dir)
	p.mu.Lock()
	p.direct--
	p.mu.Unlock()
	time.AfterFunc(refillAfter, p.fill)
	return m, false, err
}

// fill boots what is missing, in the background, unless jobs boot machines themselves: those come first.
func (p *pool) fill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && p.direct == 0 && len(p.idle)+p.booting < p.size {
		p.booting++
		p.boots.Go(p.bootOne)
	}
}

// bootOne boots a machine for the pool. A failure is told to the job that waits for it; the next attempt comes with the next job, or with weed.
func (p *pool) bootOne() {
	began := time.Now()
	m, err := p.start(p.ctx, "")
	if err == nil {
		err = m.warm(p.ctx)
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}
	if err != nil && p.ctx.Err() == nil {
		p.logger.Error("booting a microVM for the pool failed", log.Error(err))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.waiting) > 0:
		p.waiting[0] <- booted{m, err}
		p.waiting = p.waiting[1:]
	case err != nil:
		p.booting--
	default:
		p.booting--
		p.idle = append(p.idle, m)
		p.logger.Debug("a microVM is ready", log.String("name", m.name), log.Duration("took", time.Since(began)))
	}
}

// weed removes idle machines that have died, and returns how many there were.
func (p *pool) weed() (int, error) {
	p.mu.Lock()
	var dead, alive []*machine
	for _, m := range p.idle {
		if m.alive() {
			alive = append(alive, m)
		} else {
			dead = append(dead, m)
		}
	}
	p.idle = alive
	p.mu.Unlock()
	return len(dead), closeAll(dead)
}

// close ends all idle machines, and those to come.
func (p *pool) close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel(errClosed)
	p.boots.Wait()
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	return closeAll(idle)
}

func closeAll(machines []*machine) error {
	var all error
	for _, m := range machines {
		all = errors.Join(all, m.close())
	}
	return all
}
