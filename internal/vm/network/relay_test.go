package network

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// query is a DNS query for "a.example" with that number.
func query(id uint16) []byte {
	message := []byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1}
	binary.BigEndian.PutUint16(message, id)
	return message
}

// response is an answer to a query, with extra bytes behind it.
func response(query []byte, extra int) []byte {
	message := append(append([]byte(nil), query...), bytes.Repeat([]byte{0xab}, extra)...)
	message[2] |= isResponse
	return message
}

// upstream is a resolver that does with each query what reply says; nil answers are not sent.
type upstream struct {
	address netip.AddrPort
	mu      sync.Mutex
	seen    int
}

func (u *upstream) queries() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seen
}

func startUpstream(t *testing.T, reply func(query []byte) [][]byte) *upstream {
	t.Helper()
	udp, tcp := sockets(t)
	u := &upstream{address: udp.LocalAddr().(*net.UDPAddr).AddrPort()}
	var wg sync.WaitGroup
	count := func() {
		u.mu.Lock()
		u.seen++
		u.mu.Unlock()
	}
	wg.Go(func() {
		buffer := make([]byte, maxMessage)
		for {
			n, from, err := udp.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			count()
			for _, message := range reply(bytes.Clone(buffer[:n])) {
				_, _ = udp.WriteToUDPAddrPort(message, from)
			}
		}
	})
	wg.Go(func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				query, err := readMessage(conn)
				if err != nil {
					return
				}
				count()
				for _, message := range reply(query) {
					_ = writeMessage(conn, message)
				}
				_, _ = io.Copy(io.Discard, conn) // a silent one keeps the connection open
			})
		}
	})
	t.Cleanup(func() {
		_ = udp.Close()
		_ = tcp.Close()
		wg.Wait()
	})
	return u
}

// sockets are one port of loopback for UDP and TCP.
func sockets(t *testing.T) (*net.UDPConn, *net.TCPListener) {
	t.Helper()
	for {
		tcp, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: loopback.AsSlice()})
		require.NoError(t, err)
		udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopback.AsSlice(), Port: tcp.Addr().(*net.TCPAddr).Port})
		if err == nil {
			return udp, tcp
		}
		require.NoError(t, tcp.Close())
	}
}

func startTestRelay(t *testing.T, queryTime time.Duration, client netip.Addr, upstreams ...*upstream) (address string) {
	t.Helper()
	udp, tcp := sockets(t)
	resolvers := func() ([]netip.AddrPort, error) {
		var out []netip.AddrPort
		for _, u := range upstreams {
			out = append(out, u.address)
		}
		return out, nil
	}
	r := startRelay(logtest.Scoped(t), udp, tcp, client, resolvers, queryTime)
	t.Cleanup(func() { require.NoError(t, r.close()) })
	return udp.LocalAddr().String()
}

func connect(t *testing.T, network, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	return conn
}

// exchange asks the relay over one of the protocols.
func exchange(t *testing.T, network, address string, query []byte) []byte {
	t.Helper()
	conn := connect(t, network, address)
	if network == "tcp" {
		require.NoError(t, writeMessage(conn, query))
		got, err := readMessage(conn)
		require.NoError(t, err)
		return got
	}
	_, err := conn.Write(query)
	require.NoError(t, err)
	buffer := make([]byte, maxMessage)
	n, err := conn.Read(buffer)
	require.NoError(t, err)
	return buffer[:n]
}

func silent([]byte) [][]byte { return nil }

func TestRelay(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"udp", "tcp"} {
		for name, extra := range map[string]int{"small": 10, "beyond a packet": 9000, "largest": 65507 - len(query(0))} {
			t.Run(network+" "+name, func(t *testing.T) {
				t.Parallel()
				u := startUpstream(t, func(q []byte) [][]byte { return [][]byte{response(q, extra)} })
				address := startTestRelay(t, queryTime, loopback, u)
				require.Equal(t, response(query(7), extra), exchange(t, network, address, query(7)))
			})
		}
	}
}

func TestRelayPassesOverOtherAnswers(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, func(q []byte) [][]byte {
		return [][]byte{response(query(8), 0), query(7), {1}, {}, response(q, 3)}
	})
	address := startTestRelay(t, queryTime, loopback, u)
	require.Equal(t, response(query(7), 3), exchange(t, "udp", address, query(7)))
	// Over TCP the order is the resolver's promise: what doesn't fit is an error.
	require.Equal(t, failure(query(7)), exchange(t, "tcp", address, query(7)))
}

func TestRelayTriesResolversInOrder(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			slow := startUpstream(t, silent)
			good := startUpstream(t, func(q []byte) [][]byte { return [][]byte{response(q, 1)} })
			address := startTestRelay(t, 400*time.Millisecond, loopback, slow, good)
			require.Equal(t, response(query(1), 1), exchange(t, network, address, query(1)))
			require.Equal(t, 1, slow.queries())
			require.Equal(t, 1, good.queries())
			address = startTestRelay(t, queryTime, loopback, good, slow)
			exchange(t, network, address, query(2))
			require.Equal(t, 1, slow.queries())
		})
	}
}

func TestRelayTellsFailure(t *testing.T) {
	t.Parallel()
	slow := startUpstream(t, silent)
	silentOne := startTestRelay(t, 50*time.Millisecond, loopback, slow)
	none := startTestRelay(t, queryTime, loopback)
	for _, network := range []string{"udp", "tcp"} {
		for _, address := range []string{silentOne, none} {
			got := exchange(t, network, address, query(5))
			require.True(t, answers(got, query(5)))
			require.Equal(t, byte(serverFailed), got[3]&responseCode)
			require.Equal(t, query(5)[headerSize:], got[headerSize:], "the question")
		}
	}
}

func TestRelayIgnoresWhatIsNoQuery(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, func(q []byte) [][]byte { return [][]byte{response(q, 0)} })
	address := startTestRelay(t, queryTime, loopback, u)
	conn := connect(t, "udp", address)
	for _, hostile := range [][]byte{{}, {1}, make([]byte, headerSize-1), response(query(1), 0), response(query(1), 60000)} {
		_, err := conn.Write(hostile)
		require.NoError(t, err)
	}
	_, err := conn.Write(query(9))
	require.NoError(t, err)
	buffer := make([]byte, 100)
	n, err := conn.Read(buffer)
	require.NoError(t, err)
	require.Equal(t, response(query(9), 0), buffer[:n])
	require.Equal(t, 1, u.queries())

	for _, hostile := range [][]byte{{0, 0}, {0, 11, 1}, append([]byte{0, 27}, response(query(1), 0)...)} {
		conn := connect(t, "tcp", address)
		_, err := conn.Write(hostile)
		require.NoError(t, err)
		_, err = conn.Read(buffer)
		require.Error(t, err, "the relay closes")
		require.NotErrorIs(t, err, context.DeadlineExceeded)
	}
	require.Equal(t, 1, u.queries())
}

func TestRelayServesItsMachineOnly(t *testing.T) {
	t.Parallel()
	u := startUpstream(t, func(q []byte) [][]byte { return [][]byte{response(q, 0)} })
	address := startTestRelay(t, queryTime, netip.MustParseAddr("10.61.0.2"), u)
	conn := connect(t, "tcp", address)
	_, _ = conn.Write(query(1))
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.Zero(t, u.queries())
}

// A machine that opens all connections and fills all places keeps the relay from neither its bounds nor its end.
func TestRelayEndsUnderLoad(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1000)
	u := startUpstream(t, func([]byte) [][]byte {
		asked <- struct{}{}
		return nil
	})
	udp, tcp := sockets(t)
	resolvers := func() ([]netip.AddrPort, error) { return []netip.AddrPort{u.address}, nil }
	r := startRelay(logtest.Scoped(t), udp, tcp, loopback, resolvers, queryTime)
	for range 3 * maxConnections {
		conn := connect(t, "tcp", tcp.Addr().String())
		_, err := conn.Write([]byte{0xff, 0xff, 1})
		require.NoError(t, err)
	}
	conn := connect(t, "udp", udp.LocalAddr().String())
	for id := range uint16(3 * maxDatagrams) {
		_, err := conn.Write(query(id))
		require.NoError(t, err)
	}
	for range maxDatagrams {
		<-asked
	}
	start := time.Now()
	require.NoError(t, r.close())
	require.Less(t, time.Since(start), queryTime, "waits for no query")
	require.Equal(t, maxDatagrams, u.queries())
}

func FuzzFailure(f *testing.F) {
	f.Add(query(1))
	f.Add(append(query(2), 0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0))
	f.Add([]byte{1, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 63})
	f.Add([]byte{1, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, message []byte) {
		if !isQuery(message) {
			return
		}
		before := bytes.Clone(message)
		got := failure(message)
		require.Equal(t, before, message)
		require.True(t, answers(got, message))
		require.LessOrEqual(t, len(got), len(message))
	})
}
