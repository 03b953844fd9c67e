package lifecycle

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
)

// watched makes a supervisor whose manager waits 30 ms for a sign of life.
func watched(t *testing.T, m manager) *Supervisor {
	t.Helper()
	t.Setenv("WATCHDOG_USEC", "30000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	logger, _ := logtest.Captured(t)
	s := NewSupervisor(logger)
	t.Cleanup(s.Close)
	require.Equal(t, 30*time.Millisecond, s.patience)
	return s
}

func TestSignsOfLifeEndWhenTheProcessIsStuck(t *testing.T) {
	m := newManager(t)
	s := watched(t, m)
	asked, answers := make(chan struct{}), make(chan error)
	stop := s.Watch(func(ctx context.Context) error {
		select {
		case asked <- struct{}{}:
			return <-answers
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	for range 3 {
		<-asked
		answers <- nil
		require.Equal(t, []string{"WATCHDOG=1"}, m.next(t))
	}
	for range 3 {
		<-asked
		answers <- errors.New("no heartbeat for an hour")
	}
	<-asked
	s.Status("between")
	require.Empty(t, m.until(t, "STATUS=between"), "no sign of life after a failure")
	answers <- nil
	require.Equal(t, []string{"WATCHDOG=1"}, m.next(t), "it came back to life")
	stop()
	s.Status("end")
	require.Empty(t, m.until(t, "STATUS=end"))
}

// A stop ends the manager's watching until the next sign of life.
func TestAStopBeginsWithASignOfLife(t *testing.T) {
	m := newManager(t)
	s := watched(t, m)
	s.Stopping("draining")
	require.Equal(t, []string{"STOPPING=1", "STATUS=draining", "WATCHDOG=1"}, m.next(t))
}

// An alive that hangs is told when its time is over; it gives no sign of life.
func TestAliveIsBounded(t *testing.T) {
	m := newManager(t)
	s := watched(t, m)
	over := make(chan struct{})
	stop := s.Watch(func(ctx context.Context) error {
		<-ctx.Done()
		select {
		case over <- struct{}{}:
		default:
		}
		return ctx.Err()
	})
	<-over
	<-over
	stop()
	s.Status("end")
	require.Empty(t, m.until(t, "STATUS=end"))
}

func TestWhoIsWatched(t *testing.T) {
	newManager(t)
	for name, test := range map[string]struct {
		usec, pid string
		want      time.Duration
		said      []string
	}{
		"no watchdog":         {"", "", 0, nil},
		"this process":        {"60000000", strconv.Itoa(os.Getpid()), time.Minute, nil},
		"any process":         {"60000000", "", time.Minute, nil},
		"a parent of it":      {"60000000", strconv.Itoa(os.Getppid()), 0, nil},
		"a value out of line": {"soon", "", 0, []string{"the service manager wants signs of life, but WATCHDOG_USEC or WATCHDOG_PID can't be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("WATCHDOG_USEC", test.usec)
			t.Setenv("WATCHDOG_PID", test.pid)
			logger, logs := logtest.Captured(t)
			s := NewSupervisor(logger)
			defer s.Close()
			require.Equal(t, test.want, s.patience)
			require.Equal(t, append([]string{}, test.said...), logs().Messages())
		})
	}
}
