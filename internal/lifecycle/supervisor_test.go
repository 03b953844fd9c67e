package lifecycle

import (
	"context"
	"crypto/rand"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
)

// manager stands in for systemd: it receives what is sent to NOTIFY_SOCKET.
type manager struct{ socket *net.UnixConn }

func newManager(t *testing.T) manager {
	t.Helper()
	// An abstract name: paths of sockets are short, those of tests' directories need not be.
	name := "@open-executor-test-" + rand.Text()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, socket.Close()) })
	t.Setenv("NOTIFY_SOCKET", name)
	return manager{socket}
}

// next waits for a message and returns its lines.
func (m manager) next(t *testing.T) []string {
	t.Helper()
	require.NoError(t, m.socket.SetReadDeadline(time.Now().Add(10*time.Second)))
	buffer := make([]byte, 4096)
	n, err := m.socket.Read(buffer)
	require.NoError(t, err)
	return strings.Split(string(buffer[:n]), "\n")
}

// until returns all lines up to the one that is asked for.
func (m manager) until(t *testing.T, last string) []string {
	t.Helper()
	var all []string
	for {
		for _, line := range m.next(t) {
			if line == last {
				return all
			}
			all = append(all, line)
		}
	}
}

func TestTheManagerIsToldEachStage(t *testing.T) {
	m := newManager(t)
	s := NewSupervisor(logtest.Scoped(t))
	s.Status("waiting for the frontend")
	require.Equal(t, []string{"STATUS=waiting for the frontend"}, m.next(t))
	s.Ready("no job runs")
	require.Equal(t, []string{"READY=1", "STATUS=no job runs"}, m.next(t))
	s.Stopping("draining:\nREADY=1")
	require.Equal(t, []string{"STOPPING=1", "STATUS=draining: READY=1"}, m.next(t), "a status is one line")
	s.Status("the last words")
	s.Close()
	require.Equal(t, []string{"STATUS=the last words"}, m.next(t))
	s.Close()
	s.Status("too late")
}

// A manager that does not listen holds up nobody, and gets the latest news only once it listens again.
func TestNewsDoNotPileUp(t *testing.T) {
	s := &Supervisor{logger: logtest.Scoped(t), changed: make(chan struct{}, 1), done: make(chan struct{})}
	s.Ready("0 jobs")
	for i := range 1000 {
		s.Status(strconv.Itoa(i) + " jobs")
		s.say("WATCHDOG=1")
	}
	require.Equal(t, []string{"READY=1", "STATUS=999 jobs", "WATCHDOG=1"}, s.news)

	m := newManager(t)
	go s.deliver()
	require.Equal(t, []string{"READY=1", "STATUS=999 jobs", "WATCHDOG=1"}, m.next(t))
	s.Close()
}

func TestWithoutAManagerNothingIsTold(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "1000")
	s := NewSupervisor(logtest.Scoped(t))
	s.Ready("ready")
	s.Watch(func(context.Context) error {
		t.Error("nobody asked for signs of life")
		return nil
	})()
	s.Stopping("stopping")
	s.Close()
	require.Empty(t, s.news)
}

func TestAManagerThatIsGoneIsNoError(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "@open-executor-test-"+rand.Text())
	logger, logs := logtest.Captured(t)
	s := NewSupervisor(logger)
	s.Ready("ready")
	s.Close()
	require.Equal(t, []string{"the service manager could not be notified"}, logs().Messages())
}
