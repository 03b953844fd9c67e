package firecracker

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/vm/channel"
)

func TestHostileAnswersToAConnection(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		vsock, says string
	}{
		"endless":             {"endless", `the monitor answers "OK 1OK 1OK 1OK 1", which has no end`},
		"no newline":          {"no newline", `the monitor's answer "OK 1" has no end`},
		"half":                {"half", `the monitor's answer "OK 1" has no end: EOF`},
		"something else":      {"HELLO\n", `the monitor answers "HELLO", not OK and a port`},
		"no port":             {"OK \n", "not OK and a port"},
		"a port out of range": {"OK 4294967296\n", "not OK and a port"},
		"a negative port":     {"OK -1\n", "not OK and a port"},
		"an empty line":       {"\n", `the monitor answers "", not OK`},
		"no frame after it":   {"OK 1\nnonsense and more nonsense", "frame of unknown kind"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timing := defaultTiming
			if name == "no newline" {
				timing.answer = 200 * time.Millisecond
			}
			r := newRigWith(t, timing, UIDs{})
			i, err := r.Start(t.Context(), r.machine(t, behavior{Vsock: test.vsock}))
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), testTime)
			defer cancel()
			_, err = channel.Connect(ctx, i.Channel(), channel.Timing{})
			require.ErrorContains(t, err, test.says)
			require.NoError(t, i.Close())
			r.requireNothing(t)
		})
	}
}

// An agent takes the first connection that comes, so none may be given up while it could still be taken.
func TestThereIsOneConnectionHoweverLateTheAgentIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	g := r.start(t, r.machine(t, behavior{Late: 20}))
	require.Equal(t, 1, strings.Count(strings.Join(r.told(t), "\n"), "CONNECT"))
	require.NoError(t, g.Close())
}

func TestAnAgentThatNeverComes(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, timing{request: testTime, dial: 200 * time.Millisecond, answer: testTime}, UIDs{})
	i, err := r.Start(t.Context(), r.machine(t, behavior{Late: 1 << 30}))
	require.NoError(t, err)
	_, err = i.Channel().Read(make([]byte, 1))
	require.ErrorContains(t, err, "the guest agent did not take the connection within 200ms")
	_, err = i.Channel().Write([]byte("x"))
	require.ErrorContains(t, err, "did not take the connection", "the answer is final")
	require.NoError(t, i.Close())
	r.requireNothing(t)
}

func TestWaitingForTheAgentEndsWithTheMachine(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	i, err := r.Start(t.Context(), r.machine(t, behavior{Late: 1 << 30}))
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := i.Channel().Read(make([]byte, 1))
		ended <- err
	}()
	require.NoError(t, i.Close())
	require.Error(t, <-ended)
	r.requireNothing(t)
}

// stuck is a channel whose socket is never there.
func stuck(t *testing.T) *channelConn {
	t.Helper()
	c := newChannel(t.Context(), defaultTiming, func(ctx context.Context) (net.Conn, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestDeadlinesHoldBeforeTheConnectionIsMade(t *testing.T) {
	t.Parallel()
	c := stuck(t)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(-time.Second)))
	_, err := c.Read(nil)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, c.SetReadDeadline(time.Time{}))

	// One that is set while somebody waits counts, as channel.Connect needs it.
	read := make(chan error, 1)
	go func() {
		_, err := c.Read(nil)
		read <- err
	}()
	require.NoError(t, c.SetWriteDeadline(time.Unix(1, 0)))
	_, err = c.Write(nil)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	select {
	case err := <-read:
		require.Fail(t, "the other direction's deadline counts", err)
	default:
	}
	require.NoError(t, c.SetDeadline(time.Unix(1, 0)))
	require.ErrorIs(t, <-read, os.ErrDeadlineExceeded)
}

func TestDeadlinesHoldOnceTheConnectionIsMade(t *testing.T) {
	t.Parallel()
	mine, theirs := net.Pipe()
	c := newChannel(t.Context(), defaultTiming, func(context.Context) (net.Conn, error) { return mine, nil })
	greeted := make(chan error, 1)
	go func() {
		_, err := theirs.Read(make([]byte, 64))
		if err == nil {
			_, err = theirs.Write([]byte("OK 5\n"))
		}
		greeted <- err
	}()
	began := time.Now()
	require.NoError(t, c.SetReadDeadline(began.Add(50*time.Millisecond)))
	_, err := c.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Less(t, time.Since(began), defaultTiming.answer, "it is the deadline that was set, not the answer's")
	require.NoError(t, <-greeted)
	<-c.made
	require.NoError(t, c.SetDeadline(time.Unix(1, 0)))
	_, err = c.Write([]byte("x"))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	_, err = theirs.Read(make([]byte, 1))
	require.Error(t, err)
	require.NoError(t, theirs.Close())
}

func TestAChannelThatIsClosed(t *testing.T) {
	t.Parallel()
	unused := stuck(t)
	require.NoError(t, unused.Close())
	_, err := unused.Read(nil)
	require.ErrorIs(t, err, net.ErrClosed)

	used := stuck(t)
	read := make(chan error, 1)
	go func() {
		_, err := used.Read(nil)
		read <- err
	}()
	require.NoError(t, used.Close())
	require.ErrorIs(t, <-read, net.ErrClosed)
}
