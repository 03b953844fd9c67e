package qemu

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// answers is a monitor that gives an answer, of one or several lines, to each line that it reads.
func answers(t *testing.T, greeting string, lines ...string) *net.UnixConn {
	t.Helper()
	h := &handover{}
	conn, _, err := h.socket()
	require.NoError(t, err)
	theirs, err := net.FileConn(h.theirs[0])
	require.NoError(t, err)
	h.closeTheirs()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = theirs.Write([]byte(greeting))
		said := bufio.NewScanner(theirs)
		for _, line := range lines {
			if !said.Scan() {
				return
			}
			_, _ = theirs.Write([]byte(line))
		}
		for said.Scan() {
			continue
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
		require.NoError(t, theirs.Close())
	})
	return conn
}

const hello, fine = `{"QMP":{}}` + "\n", `{"return":{}}` + "\n"

func TestMonitorCommands(t *testing.T) {
	t.Parallel()
	conn := answers(t, hello, fine, `{"event":"RESET"}`+"\n"+`{"return":{"fdset-id":3}}`+"\n", `{"error":{"class":"GenericError","desc":"no such node"}}`+"\n", "nonsense\n")
	m, err := newMonitor(t.Context(), conn)
	require.NoError(t, err)
	file, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	answer, err := m.do(t.Context(), "add-fd", nil, file)
	require.NoError(t, err)
	require.JSONEq(t, `{"fdset-id":3}`, string(answer))
	_, err = m.do(t.Context(), "blockdev-add", map[string]any{"x": 1}, nil)
	require.EqualError(t, err, "monitor: blockdev-add: no such node")
	_, err = m.do(t.Context(), "stop", nil, nil)
	require.ErrorContains(t, err, "monitor: stop: invalid character")
}

func TestMonitorsThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	_, err := newMonitor(t.Context(), answers(t, strings.Repeat("x", maxAnswer+1)))
	require.ErrorContains(t, err, "token too long")
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err = newMonitor(ctx, answers(t, ""))
	require.ErrorIs(t, err, cause)
}
