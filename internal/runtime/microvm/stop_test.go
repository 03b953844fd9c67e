package microvm

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/command/commandtest"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/vm/channel"
)

// pace is how often a guest is busy in a test whose clock is a bubble's: it stands still while anybody is.
const pace = 50 * time.Millisecond

// flood writes to both outputs until it can't, as fast as ticks allow; at full speed when there are none.
func flood(x channel.Exchange, ticks <-chan time.Time) {
	noise := []byte(strings.Repeat("\x00noise\x1b[31m", 1<<12))
	for {
		if _, err := x.Stdout.Write(noise); err != nil {
			return
		}
		if _, err := x.Stderr.Write(noise); err != nil {
			return
		}
		if ticks != nil {
			<-ticks
		}
	}
}

// Guests that never end their step, whatever signal comes.
func TestGuestsThatDoNotStop(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		play func(ctx context.Context, g *guest, x channel.Exchange)
		// signals are those that reach the guest.
		signals []syscall.Signal
	}{
		"quiet": {func(context.Context, *guest, channel.Exchange) {}, []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}},
		"noisy": {func(_ context.Context, _ *guest, x channel.Exchange) {
			ticker := time.NewTicker(pace)
			defer ticker.Stop()
			flood(x, ticker.C)
		}, []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}},
		"noisy and deaf": {func(_ context.Context, g *guest, x channel.Exchange) {
			g.deaf.Store(true)
			ticker := time.NewTicker(pace)
			defer ticker.Stop()
			flood(x, ticker.C)
		}, nil},
		"mute": {func(_ context.Context, g *guest, _ channel.Exchange) { g.mute.Store(true) }, []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, steps(func(ctx context.Context, g *guest, x channel.Exchange) channel.Result {
					done := make(chan struct{})
					go func() {
						defer close(done)
						for signal := range x.Signals {
							g.signalled(signal)
						}
					}()
					c.play(ctx, g, x)
					<-ctx.Done()
					<-done
					return channel.Result{}
				}))
				log := &countingLog{Log: commandtest.NewLog()}
				session := f.openHidden(t, log)
				ctx, cancel := context.WithCancelCause(t.Context())
				stop := time.AfterFunc(time.Second, func() { cancel(runtime.ErrCanceled) })
				defer stop.Stop()
				began := time.Now()
				require.ErrorIs(t, session.Run(ctx, program), runtime.ErrCanceled)
				require.LessOrEqual(t, time.Since(began), time.Second+fakeGrace+killTime+pace)
				entry := log.Entry(t, program.Key)
				require.Equal(t, "The step was stopped: the job was canceled.\n", entry.Out)
				require.Equal(t, -1, entry.ExitCode)
				i := f.driver.instances()[0]
				require.True(t, i.ended(), "the step may still run")
				require.Equal(t, c.signals, i.guest.signals())
				require.ErrorContains(t, session.Run(t.Context(), container), "the step was lost: its microVM failed: ")
				require.NoError(t, session.Close(t.Context()))
			})
		})
	}
}

// countingLog keeps notes, and of commands' output nothing but its size.
type countingLog struct {
	*commandtest.Log
	written atomic.Int64
	// enough, when set, is called once that many bytes were written.
	limit  int64
	enough func()
}

func (l *countingLog) Open(key string, words []string) command.Entry {
	return countingEntry{l.Log.Open(key, words), l}
}

type countingEntry struct {
	command.Entry
	log *countingLog
}

func (e countingEntry) Stdout() io.Writer { return counter{e.log} }
func (e countingEntry) Stderr() io.Writer { return counter{e.log} }

type counter struct{ log *countingLog }

func (c counter) Write(p []byte) (int, error) {
	if all := c.log.written.Add(int64(len(p))); c.log.enough != nil && all >= c.log.limit {
		c.log.enough()
	}
	return len(p), nil
}

// A guest at full speed is heard, takes no more of the host's memory than a quiet one, and gets its signal.
func TestFloods(t *testing.T) {
	f := newFake(t, steps(func(_ context.Context, _ *guest, x channel.Exchange) channel.Result {
		go flood(x, nil)
		return channel.Result{ExitCode: 128 + int((<-x.Signals).Number)}
	}))
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	log := &countingLog{Log: commandtest.NewLog(), limit: 256 << 20, enough: func() { cancel(runtime.ErrLeaseLost) }}
	session, err := f.Open(ctx, f.job(t, log))
	require.NoError(t, err)
	require.Less(t, allocates(func() { err = session.Run(ctx, program) }), uint64(8<<20))
	require.ErrorIs(t, err, runtime.ErrLeaseLost)
	entry := log.Entry(t, program.Key)
	require.Equal(t, "The step was stopped: this executor lost its lease on the job.\n", entry.Out)
	require.Equal(t, 128+int(syscall.SIGTERM), entry.ExitCode)
	require.NoError(t, session.Close(t.Context()))
}
