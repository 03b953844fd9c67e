package firecracker

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/open-executor/executor/internal/vm/channel"
)

// assignedPort is the first one that Firecracker gives to a host's connection.
const assignedPort = 1 << 30

// guestOf serves the vsock's socket as the monitor does, with an agent behind it that takes one connection.
func (m *monitor) guestOf(listener net.Listener) {
	var once sync.Once
	refused := 0
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		line, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
		var port int
		if n, scanErr := fmt.Sscanf(line, "CONNECT %d\n", &port); err != nil || scanErr != nil || n != 1 || port != agentPort {
			_ = conn.Close()
			continue
		}
		if refused < m.behavior.Late { // the agent does not listen yet
			refused++
			_ = conn.Close()
			continue
		}
		m.behavior.tell("CONNECT")
		taken := false
		once.Do(func() { taken = true })
		if !taken {
			_ = conn.Close()
			continue
		}
		go m.answer(conn)
	}
}

func (m *monitor) answer(conn net.Conn) {
	defer conn.Close()
	switch m.behavior.Vsock {
	case "":
		// The answer and the agent's first words come in one piece.
		out := bufio.NewWriter(conn)
		_, _ = fmt.Fprintf(out, "OK %d\n", assignedPort)
		_ = channel.Serve(context.Background(), eager{conn, out}, m.handle)
	case "endless":
		for {
			if _, err := conn.Write([]byte("OK 1")); err != nil {
				return
			}
		}
	case "no newline":
		_, _ = conn.Write([]byte("OK 1"))
		_, _ = io.Copy(io.Discard, conn)
	case "half":
		_, _ = conn.Write([]byte("OK 1"))
	default:
		_, _ = conn.Write([]byte(m.behavior.Vsock))
		_, _ = io.Copy(io.Discard, conn)
	}
}

// eager sends what is buffered with each write.
type eager struct {
	io.Reader
	out *bufio.Writer
}

func (e eager) Write(p []byte) (int, error) {
	n, err := e.out.Write(p)
	if err != nil {
		return n, err
	}
	return n, e.out.Flush()
}

// handle is an agent that reads and writes the drives: Take and Write have a drive for a path.
func (m *monitor) handle(_ context.Context, x channel.Exchange) channel.Result {
	if err := m.carryOut(x); err != nil {
		return channel.Result{Error: &channel.Error{Reason: channel.ReasonGuest, Message: err.Error()}}
	}
	return channel.Result{}
}

func (m *monitor) carryOut(x channel.Exchange) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch request := x.Request; {
	case request.PowerOff != nil:
		fmt.Println("powering off")
		os.Exit(0)
	case request.Take != nil:
		drive := m.drives[request.Take.Path]
		content := make([]byte, request.Take.Limit)
		n, err := drive.ReadAt(content, 0)
		if err != nil && err != io.EOF {
			return err
		}
		_, err = io.Copy(x.Stdout, strings.NewReader(string(content[:n])))
		return err
	case request.Write != nil:
		content, err := io.ReadAll(x.Input)
		if err != nil {
			return err
		}
		_, err = m.drives[request.Write.Path].WriteAt(content, 0)
		return err
	}
	return nil
}
