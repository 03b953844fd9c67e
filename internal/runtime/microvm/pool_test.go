package microvm

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/runtime"
)

// pooled makes a runtime that keeps that many machines ready.
func pooled(t *testing.T, size int, play script) *fake {
	t.Helper()
	return newFake(t, play, func(o *Options) { o.Pool = size })
}

// ready fills the pool.
func (f *fake) ready() {
	f.pool.fill()
	synctest.Wait()
}

// refilled waits until what a take has left to fill is filled.
func refilled() {
	<-time.After(2 * refillAfter)
	synctest.Wait()
}

func (f *fake) names() []string {
	var names []string
	for _, i := range f.driver.instances() {
		names = append(names, i.machine.Name)
	}
	return names
}

func (f *fake) take(t *testing.T) (*machine, bool) {
	t.Helper()
	m, warm, err := f.pool.take(t.Context(), "")
	require.NoError(t, err)
	return m, warm
}

// gated makes guests that boot once their gate is open, well unless it gives an error.
func gated(gate <-chan error) script {
	return func(ctx context.Context, g *guest) {
		select {
		case err := <-gate:
			if err != nil {
				_ = g.Close()
				return
			}
			honest(ctx, g)
		case <-ctx.Done():
		}
	}
}

// taking is a take under way.
type taking struct {
	machine *machine
	warm    bool
	err     error
	done    chan struct{}
}

func (f *fake) begin(ctx context.Context) *taking {
	k := &taking{done: make(chan struct{})}
	go func() {
		defer close(k.done)
		k.machine, k.warm, k.err = f.pool.take(ctx, "")
	}()
	return k
}

func TestAUsedMachineNeverComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := pooled(t, 1, honest)
		f.ready()
		seen := map[string]bool{}
		for range 3 {
			session := f.openHidden(t, commandtest.NewLog())
			require.False(t, seen[session.machine.name], "a job got another's machine")
			seen[session.machine.name] = true
			require.NoError(t, session.Run(t.Context(), container))
			require.NoError(t, session.Close(t.Context()))
			refilled()
			require.True(t, f.driver.instances()[len(seen)-1].ended())
		}
		require.Len(t, f.driver.instances(), 4, "one for each job, and one that waits")
	})
}

func TestIdleMachinesThatDied(t *testing.T) {
	t.Parallel()
	for name, die := range map[string]func(*instance){
		"monitor":           func(i *instance) { i.end() },
		"connection":        func(i *instance) { _ = i.guest.Close() },
		"unasked-for frame": func(i *instance) { _, _ = i.guest.Write(frame(kindResult, 1, "{}")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := pooled(t, 1, honest)
				f.ready()
				dead := f.driver.instances()[0]
				die(dead)
				synctest.Wait()
				m, warm := f.take(t)
				require.False(t, warm)
				require.NotEqual(t, dead.machine.Name, m.name)
				require.DirExists(t, filepath.Join(f.options.Dir, dead.machine.Name))

				n, err := f.Reap(t.Context())
				require.NoError(t, err)
				require.Equal(t, 1, n)
				require.NoDirExists(t, filepath.Join(f.options.Dir, dead.machine.Name))
				require.Positive(t, dead.closed)
				synctest.Wait()
				next, warm := f.take(t)
				require.True(t, warm, "another took its place")
				n, err = f.Reap(t.Context())
				require.NoError(t, err)
				require.Zero(t, n)
				require.NoError(t, errors.Join(m.close(), next.close()))
			})
		})
	}
}

func TestTakeJoinsABootUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan error)
		f := pooled(t, 1, gated(gate))
		f.pool.fill()
		synctest.Wait()
		k := f.begin(t.Context())
		synctest.Wait()
		require.Len(t, f.driver.instances(), 1)
		gate <- nil
		<-k.done
		require.NoError(t, k.err)
		require.False(t, k.warm)
		require.Equal(t, f.names(), []string{k.machine.name})
		require.NoError(t, k.machine.close())
	})
}

func TestWaitersHearOfAFailedBoot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan error)
		f := pooled(t, 2, gated(gate))
		f.pool.fill()
		synctest.Wait()
		first, second := f.begin(t.Context()), f.begin(t.Context())
		synctest.Wait()
		require.Len(t, f.driver.instances(), 2)
		gate <- errors.New("no")
		gate <- nil
		<-first.done
		<-second.done
		failed, other := first, second
		if first.err == nil {
			failed, other = second, first
		}
		require.EqualError(t, failed.err, "microVM: booting it: waiting for the guest agent: EOF")
		require.Nil(t, failed.machine)
		require.NoError(t, other.err)
		require.NoError(t, other.machine.close())
	})
}

func TestWaitersHearThatWarmingFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := pooled(t, 1, mute(isWarm))
		f.pool.fill()
		began := time.Now()
		_, err := f.Open(t.Context(), f.job(t, commandtest.NewLog()))
		require.ErrorContains(t, err, "failed to start firecracker vm: warming it up: the guest agent did not answer within 1m0s")
		require.LessOrEqual(t, time.Since(began), askTime)
		require.True(t, f.driver.instances()[0].ended())
	})
}

// A pool whose boots fail doesn't try again by itself at once.
func TestFailedBootsAreNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := pooled(t, 2, func(_ context.Context, g *guest) { _ = g.Close() })
		f.ready()
		refilled()
		require.Len(t, f.driver.instances(), 2)
		_, err := f.Reap(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		require.Len(t, f.driver.instances(), 4)
	})
}

func TestTheMachineOfACancelledWaiterGoesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan error)
		f := pooled(t, 1, gated(gate))
		f.pool.fill()
		synctest.Wait()
		ctx, cancel := context.WithCancelCause(t.Context())
		k := f.begin(ctx)
		synctest.Wait()
		cancel(runtime.ErrCanceled)
		<-k.done
		require.ErrorIs(t, k.err, runtime.ErrCanceled)
		require.Nil(t, k.machine)
		gate <- nil
		synctest.Wait()
		m, warm := f.take(t)
		require.True(t, warm)
		require.Equal(t, f.names(), []string{m.name})
		require.NoError(t, m.close())
		refilled()
		require.Len(t, f.driver.instances(), 2, "the pool keeps count")
	})
}

// The machine comes at the very moment at which its waiter goes.
func TestTheMachineOfALateWaiter(t *testing.T) {
	t.Parallel()
	for _, closed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := pooled(t, 1, honest)
			f.ready()
			m, warm := f.take(t)
			require.True(t, warm)
			if closed {
				require.NoError(t, f.pool.close())
			}
			next := make(chan booted, 1)
			next <- booted{machine: m}
			require.NoError(t, f.pool.forgo(next))
			require.Equal(t, closed, f.driver.instances()[0].ended())
			if !closed {
				again, warm := f.take(t)
				require.True(t, warm)
				require.Same(t, m, again, "it had no job yet")
				require.NoError(t, m.close())
			}
		})
	}
}

func TestNothingStartsAfterClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := pooled(t, 2, honest)
		f.ready()
		m, _ := f.take(t) // which has a machine started later
		require.NoError(t, f.Close())
		require.NoError(t, m.close())
		for _, i := range f.driver.instances() {
			require.True(t, i.ended())
		}
		f.pool.fill()
		refilled()
		_, _, err := f.pool.take(t.Context(), "")
		require.ErrorIs(t, err, errClosed)
		_, err = f.Reap(t.Context())
		require.NoError(t, err)
		require.Len(t, f.driver.instances(), 2)
	})
}

func TestCloseEndsBoots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := pooled(t, 3, gated(make(chan error)))
		f.pool.fill()
		synctest.Wait()
		k := f.begin(t.Context())
		synctest.Wait()
		began := time.Now()
		require.NoError(t, f.Close())
		require.Zero(t, time.Since(began))
		<-k.done
		require.ErrorIs(t, k.err, errClosed)
		require.Empty(t, machineDirs(t, f.options.Dir))
	})
}

// Jobs that come all at once each get a machine of their own, be it idle, on its way or new.
func TestConcurrentTakes(t *testing.T) {
	t.Parallel()
	f := pooled(t, 3, honest)
	f.pool.fill()
	var mu sync.Mutex
	var taken []*machine
	seen := map[*machine]bool{}
	var jobs sync.WaitGroup
	for range 4 {
		jobs.Go(func() {
			for range 3 {
				m, _, err := f.pool.take(t.Context(), "")
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				taken, seen[m] = append(taken, m), true
				mu.Unlock()
			}
		})
	}
	jobs.Go(func() {
		for range 20 {
			if _, err := f.Reap(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	jobs.Wait()
	require.Len(t, taken, 12)
	require.Len(t, seen, 12)
	for _, m := range taken {
		require.True(t, m.alive())
		require.NoError(t, m.close())
	}
}
