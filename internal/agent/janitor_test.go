package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/log"
	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/runtime"
)

// reaper is a runtime that only reaps.
type reaper struct {
	runtime.Runtime
	reap func(context.Context) (int, error)
}

func (r reaper) Reap(ctx context.Context) (int, error) { return r.reap(ctx) }

func TestJanitorReapsAtStartAndAtEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, logged := logtest.Captured(t)
		began := time.Now()
		rounds := make(chan time.Duration, 3)
		j := startJanitor(t.Context(), logger, reaper{reap: func(context.Context) (int, error) {
			at := time.Since(began)
			rounds <- at
			if at == time.Minute {
				return 3, errors.New("the engine does not answer")
			}
			return 0, nil
		}}, time.Minute)
		require.Len(t, rounds, 1, "leftovers are gone before the first job")
		<-time.After(150 * time.Second)
		j.stop()
		require.Len(t, rounds, 3)
		for _, at := range []time.Duration{0, time.Minute, 2 * time.Minute} {
			require.Equal(t, at, <-rounds)
		}
		require.Equal(t, []string{"removed what earlier executors left on this host", "removing leftovers failed"}, logged().Messages())
	})
}

func TestJanitorWithoutIntervalReapsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rounds := 0
		j := startJanitor(t.Context(), log.NoOp(), reaper{reap: func(context.Context) (int, error) {
			rounds++
			return 0, nil
		}}, 0)
		<-time.After(time.Hour)
		j.stop()
		require.Equal(t, 1, rounds)
	})
}

// An engine that hangs must not keep an executor from ending.
func TestJanitorIsCutShort(t *testing.T) {
	hangs := reaper{reap: func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}}
	t.Run("by its own bound", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			logger, logged := logtest.Captured(t)
			began := time.Now()
			startJanitor(t.Context(), logger, hangs, 0).stop()
			require.Equal(t, reapTime, time.Since(began))
			require.Equal(t, []string{"removing leftovers failed"}, logged().Messages())
		})
	})
	t.Run("by a signal during the first round", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			logger, logged := logtest.Captured(t)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			began := time.Now()
			startJanitor(ctx, logger, hangs, 0).stop()
			require.Equal(t, time.Second, time.Since(began))
			require.Empty(t, logged())
		})
	})
	t.Run("by the end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			logger, logged := logtest.Captured(t)
			rounds := 0
			j := startJanitor(t.Context(), logger, reaper{reap: func(ctx context.Context) (int, error) {
				if rounds++; rounds == 1 {
					return 0, nil
				}
				return hangs.Reap(ctx)
			}}, time.Minute)
			<-time.After(time.Minute + time.Second)
			began := time.Now()
			j.stop()
			require.Zero(t, time.Since(began))
			require.Empty(t, logged())
		})
	})
}
