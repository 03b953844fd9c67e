package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// monitorTime bounds one command of the monitor.
	monitorTime = 20 * time.Second
	// maxAnswer bounds one line of the monitor, in bytes.
	maxAnswer = 1 << 20
)

// monitor speaks the QEMU Machine Protocol (QMP; docs/interop/qmp-spec.rst of QEMU). Safe for concurrent use: one command at a time.
type monitor struct {
	mu    sync.Mutex
	conn  *net.UnixConn
	lines *bufio.Scanner
}

// newMonitor negotiates over a fresh connection.
func newMonitor(ctx context.Context, conn *net.UnixConn) (*monitor, error) {
	m := &monitor{conn: conn, lines: bufio.NewScanner(conn)}
	m.lines.Buffer(make([]byte, 0, 4<<10), maxAnswer)
	stop, err := m.bound(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	if _, err := m.line(ctx); err != nil {
		return nil, fmt.Errorf("the monitor's greeting: %w", err)
	}
	_, err = m.exchange(ctx, "qmp_capabilities", nil, nil)
	return m, err
}

// bound makes reads and writes end with ctx, or after monitorTime.
func (m *monitor) bound(ctx context.Context) (stop func() bool, err error) {
	if err := m.conn.SetDeadline(time.Now().Add(monitorTime)); err != nil {
		return nil, err
	}
	return context.AfterFunc(ctx, func() { _ = m.conn.SetDeadline(time.Unix(1, 0)) }), nil
}

func (m *monitor) line(ctx context.Context) ([]byte, error) {
	if m.lines.Scan() {
		return m.lines.Bytes(), nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	err := m.lines.Err()
	switch {
	case err == nil:
		err = errors.New("it has ended")
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("it did not answer within %s", monitorTime)
	}
	return nil, err
}

// do carries out a command; a file goes along where one is given.
func (m *monitor) do(ctx context.Context, command string, arguments any, file *os.File) (json.RawMessage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stop, err := m.bound(ctx)
	if err != nil {
		return nil, fmt.Errorf("monitor: %s: %w", command, err)
	}
	defer stop()
	return m.exchange(ctx, command, arguments, file)
}

func (m *monitor) exchange(ctx context.Context, command string, arguments any, file *os.File) (json.RawMessage, error) {
	text, err := json.Marshal(map[string]any{"execute": command, "arguments": arguments})
	if arguments == nil {
		text, err = json.Marshal(map[string]any{"execute": command})
	}
	if err != nil {
		return nil, err
	}
	var rights []byte
	if file != nil {
		rights = unix.UnixRights(int(file.Fd()))
	}
	if _, _, err := m.conn.WriteMsgUnix(append(text, '\n'), rights, nil); err != nil {
		return nil, fmt.Errorf("monitor: %s: %w", command, err)
	}
	for {
		line, err := m.line(ctx)
		if err != nil {
			return nil, fmt.Errorf("monitor: %s: %w", command, err)
		}
		var answer struct {
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Desc string `json:"desc"`
			} `json:"error"`
		}
		if err := json.Unmarshal(line, &answer); err != nil {
			return nil, fmt.Errorf("monitor: %s: %w", command, err)
		}
		switch {
		case answer.Error != nil:
			return nil, fmt.Errorf("monitor: %s: %s", command, answer.Error.Desc)
		case answer.Return != nil:
			return append(json.RawMessage(nil), answer.Return...), nil
		}
		// An event, which nobody waits for.
	}
}
