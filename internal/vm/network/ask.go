package network

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// askUDP asks over UDP. The socket is connected, and takes datagrams of this resolver only; those that aren't the answer are passed over.
func askUDP(ctx context.Context, resolver netip.AddrPort, query []byte) ([]byte, error) {
	conn, err := dial(ctx, "udp", resolver)
	if err != nil {
		return nil, err
	}
	defer conn.close()
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buffer := make([]byte, maxMessage)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, err
		}
		if answers(buffer[:n], query) {
			return buffer[:n], nil
		}
	}
}

// askTCP asks over TCP.
func askTCP(ctx context.Context, resolver netip.AddrPort, query []byte) ([]byte, error) {
	conn, err := dial(ctx, "tcp", resolver)
	if err != nil {
		return nil, err
	}
	defer conn.close()
	if err := writeMessage(conn, query); err != nil {
		return nil, err
	}
	response, err := readMessage(conn)
	if err != nil {
		return nil, err
	}
	if !answers(response, query) {
		return nil, fmt.Errorf("its answer belongs to another query: %w", errNotDNS)
	}
	return response, nil
}

// bounded is a connection that ends with a context.
type bounded struct {
	net.Conn
	stop func() bool
}

func dial(ctx context.Context, network string, resolver netip.AddrPort) (*bounded, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, resolver.String())
	if err != nil {
		return nil, err
	}
	// A deadline in the past ends reads and writes; the context's own is reached in the same way.
	return &bounded{conn, context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })}, nil
}

func (b *bounded) close() {
	b.stop()
	_ = b.Close()
}

// readMessage reads a DNS message of a TCP stream: two bytes of length, then as many as they say.
func readMessage(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint16(size[:])
	if length < headerSize {
		return nil, fmt.Errorf("%d bytes: %w", length, errNotDNS)
	}
	message := make([]byte, length)
	if _, err := io.ReadFull(r, message); err != nil {
		return nil, err
	}
	return message, nil
}

func writeMessage(w io.Writer, message []byte) error {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(message)), uint16(len(message)))
	_, err := w.Write(append(framed, message...))
	return err
}
