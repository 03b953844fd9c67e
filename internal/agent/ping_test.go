package agent

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/log"
	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
)

var errRefused = fmt.Errorf("dialing: %w", syscall.ECONNREFUSED)

func TestFrontendIsPingedEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		err := awaitFrontend(t.Context(), log.NoOp(), func(context.Context) error {
			at = append(at, time.Since(began))
			if len(at) < 4 {
				return errRefused
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}, at)
	})
}

// Frontend and executors often start together: what is refused in the first minute is no news.
func TestRefusedConnectionsAreLoggedAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, logged := logtest.Captured(t)
		began := time.Now()
		err := awaitFrontend(t.Context(), logger, func(context.Context) error {
			switch age := time.Since(began); {
			case age <= time.Minute:
				require.Empty(t, logged(), "after %s", age)
				return errRefused
			case age < 65*time.Second:
				return errRefused
			}
			return nil
		})
		require.NoError(t, err)
		logs := logged()
		require.Len(t, logs, 4)
		require.Equal(t, log.LevelError, logs[0].Level)
	})
}

func TestOtherPingFailuresAreLoggedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, logged := logtest.Captured(t)
		tries := 0
		err := awaitFrontend(t.Context(), logger, func(context.Context) error {
			if tries++; tries < 3 {
				return errors.New("unexpected status code 401")
			}
			return nil
		})
		require.NoError(t, err)
		require.Len(t, logged(), 2)
	})
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	for name, ping := range map[string]func(context.Context) error{
		"between pings": func(context.Context) error { return errRefused },
		"during a ping": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				time.AfterFunc(2500*time.Millisecond, func() { cancel(ErrInterrupted) })
				began := time.Now()
				require.ErrorIs(t, awaitFrontend(ctx, log.NoOp(), ping), ErrInterrupted)
				require.Equal(t, 2500*time.Millisecond, time.Since(began))
			})
		})
	}
}

func TestAPingThatHangsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		err := awaitFrontend(t.Context(), log.NoOp(), func(ctx context.Context) error {
			if tries++; tries == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 2, tries)
	})
}
