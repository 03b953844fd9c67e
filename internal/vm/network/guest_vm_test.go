//go:build vm

package network

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// newNetwork makes a network that ends with the test.
func newNetwork(t *testing.T, options Options) *Network {
	t.Helper()
	if options.Executor == "" {
		options.Executor = "tester"
	}
	if options.Resolvers == nil {
		options.Resolvers = func() ([]netip.AddrPort, error) { return ports("127.0.0.1"), nil }
	}
	n, err := New(t.Context(), logtest.Scoped(t), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close(context.Background())) })
	return n
}

func attach(t *testing.T, n *Network) *Link {
	t.Helper()
	link, err := n.Attach(t.Context())
	require.NoError(t, err)
	return link
}

// boot gives the link to another kernel network stack, as a monitor would: what it sends on its eth0 is written to the tap, and the other
// way round.
func boot(t *testing.T, link *Link) space {
	t.Helper()
	machine := newSpace(t)
	var nic *os.File
	machine.do(t, func() {
		var err error
		nic, err = createTap("eth0")
		require.NoError(t, err)
		device, err := netlink.LinkByName("eth0")
		require.NoError(t, err)
		require.NoError(t, netlink.LinkSetHardwareAddr(device, link.MAC))
		require.NoError(t, netlink.LinkSetMTU(device, link.MTU))
		addAddress(t, "eth0", link.Guest.String())
		up(t, "eth0")
		addRoute(t, "0.0.0.0/0", link.Gateway.String())
	})
	var wg sync.WaitGroup
	pump := func(to, from *os.File) {
		defer to.Close()
		defer from.Close()
		buffer := make([]byte, 1<<16)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
	wg.Go(func() { pump(link.Tap, nic) })
	wg.Go(func() { pump(nic, link.Tap) })
	t.Cleanup(func() {
		_ = nic.Close()
		_ = link.Tap.Close()
		wg.Wait()
	})
	return machine
}

// dialFrom connects in a namespace.
func dialFrom(t *testing.T, s space, network, address string, wait time.Duration) (net.Conn, error) {
	t.Helper()
	var conn net.Conn
	var err error
	s.do(t, func() { conn, err = net.DialTimeout(network, address, wait) })
	if conn != nil {
		t.Cleanup(func() { _ = conn.Close() })
	}
	return conn, err
}

// serve accepts TCP connections in a namespace and gives each to handle.
func serve(t *testing.T, s space, address string, handle func(net.Conn)) {
	t.Helper()
	var listener net.Listener
	s.do(t, func() {
		var err error
		listener, err = net.Listen("tcp", address)
		require.NoError(t, err)
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(time.Minute))
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		wg.Wait()
	})
}

// A real stack behind the tap: what a job does, works, and what comes back comes from the host's address.
func TestMachineReachesTheOutside(t *testing.T) {
	if !isolated(t) {
		return
	}
	outside := newOutside(t)
	resolver := startUpstream(t, func(q []byte) [][]byte { return [][]byte{response(q, 20)} })
	n := newNetwork(t, Options{Resolvers: func() ([]netip.AddrPort, error) { return []netip.AddrPort{resolver.address}, nil }})
	link := attach(t, n)
	require.Equal(t, outsideMTUs, link.MTU)
	machine := boot(t, link)
	serve(t, outside, outsidePublic+":80", func(conn net.Conn) { fmt.Fprint(conn, conn.RemoteAddr()) })

	conn, err := dialFrom(t, machine, "tcp4", outsidePublic+":80", 5*time.Second)
	require.NoError(t, err)
	said, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, hostPublic, netip.MustParseAddrPort(string(said)).Addr().String())

	for _, network := range []string{"udp", "tcp"} {
		conn, err := dialFrom(t, machine, network, netip.AddrPortFrom(link.Gateway, dnsPort).String(), 5*time.Second)
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
		if network == "tcp" {
			require.NoError(t, writeMessage(conn, query(3)))
			got, err := readMessage(conn)
			require.NoError(t, err)
			require.Equal(t, response(query(3), 20), got)
			continue
		}
		_, err = conn.Write(query(4))
		require.NoError(t, err)
		buffer := make([]byte, maxMessage)
		size, err := conn.Read(buffer)
		require.NoError(t, err)
		require.Equal(t, response(query(4), 20), buffer[:size])
	}
}

// Nobody reaches into a machine: not the outside, not a neighbour, not the host's own processes.
func TestNobodyReachesTheMachine(t *testing.T) {
	if !isolated(t) {
		return
	}
	outside := newOutside(t)
	n := newNetwork(t, Options{})
	link := attach(t, n)
	machine, neighbour := boot(t, link), boot(t, attach(t, n))
	server := net.JoinHostPort(link.Guest.Addr().String(), "80")
	serve(t, machine, server, func(conn net.Conn) { fmt.Fprint(conn, "in") })
	outside.do(t, func() { addRoute(t, DefaultSubnet.String(), hostPublic) })

	reached := func() (from []string) {
		for name, s := range map[string]space{"outside": outside, "neighbour": neighbour} {
			if _, err := dialFrom(t, s, "tcp4", server, 500*time.Millisecond); err == nil {
				from = append(from, name)
			}
		}
		if conn, err := net.DialTimeout("tcp4", server, 500*time.Millisecond); err == nil {
			from = append(from, "host")
			_ = conn.Close()
		}
		return from
	}
	require.Empty(t, reached())
	_, err := nft(t.Context(), "delete table inet "+n.policy.table)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"outside", "neighbour", "host"}, reached(), "it was the policy")
}

// Bytes per second mean bytes per second, in both directions.
func TestBandwidth(t *testing.T) {
	if !isolated(t) {
		return
	}
	outside := newOutside(t)
	serve(t, outside, outsidePublic+":80", func(conn net.Conn) { _, _ = io.Copy(conn, endless{}) })
	received := make(chan float64, 8)
	const settle, measure = time.Second, 3 * time.Second
	serve(t, outside, outsidePublic+":81", func(conn net.Conn) { received <- rate(conn, settle, measure) })
	for i, limit := range []int64{2_000_000, 40_000_000} {
		n, err := New(t.Context(), logtest.Scoped(t), Options{Executor: fmt.Sprint("limited", i), IngressBytes: limit, EgressBytes: limit})
		require.NoError(t, err)
		machine := boot(t, attach(t, n))
		down, err := dialFrom(t, machine, "tcp4", outsidePublic+":80", 5*time.Second)
		require.NoError(t, err)
		ingress := rate(down, settle, measure)
		require.NoError(t, down.Close())
		up, err := dialFrom(t, machine, "tcp4", outsidePublic+":81", 5*time.Second)
		require.NoError(t, err)
		require.NoError(t, up.SetDeadline(time.Now().Add(settle+measure+5*time.Second)))
		_, err = io.Copy(up, endless{})
		require.Error(t, err, "the other end closes")
		egress := <-received
		t.Logf("limit %d: to the machine %.0f (%.1f %%), from it %.0f (%.1f %%)",
			limit, ingress, 100*ingress/float64(limit), egress, 100*egress/float64(limit))
		for _, got := range []float64{ingress, egress} {
			require.InDelta(t, float64(limit), got, 0.25*float64(limit))
		}
		require.NoError(t, n.Close(context.Background()))
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// windows are how many pieces of the time of measuring there are.
const windows = 9

// rate reads for a while, and tells the bytes per second of the later part: the median of its pieces, since a reader that was held up finds in the next piece
// what it has missed in the one before.
func rate(conn net.Conn, settle, measure time.Duration) float64 {
	buffer := make([]byte, 1<<16)
	since := time.Now().Add(settle)
	total := 0
	var rates []float64
	for len(rates) < windows {
		n, err := conn.Read(buffer)
		if err != nil {
			return 0
		}
		elapsed := time.Since(since)
		if elapsed < 0 {
			continue
		}
		if total += n; elapsed >= measure/windows {
			rates = append(rates, float64(total)/elapsed.Seconds())
			since, total = since.Add(elapsed), 0
		}
	}
	slices.Sort(rates)
	return rates[windows/2]
}

func TestTapBelongsToItsOwner(t *testing.T) {
	if !isolated(t) {
		return
	}
	n := newNetwork(t, Options{Persistent: true})
	link := attach(t, n)
	require.Nil(t, link.Tap)
	owner := func() uint32 {
		device, err := netlink.LinkByName(link.Name)
		require.NoError(t, err)
		require.True(t, !device.(*netlink.Tuntap).NonPersist)
		return device.(*netlink.Tuntap).Owner
	}
	require.Zero(t, owner())
	require.NoError(t, link.SetOwner(12345))
	require.EqualValues(t, 12345, owner())
	require.Error(t, link.SetOwner(-1))
	file, err := openTap(link.Name, unix.IFF_TAP|unix.IFF_NO_PI|unix.IFF_VNET_HDR)
	require.NoError(t, err, "as Firecracker opens it")
	require.NoError(t, file.Close())
	require.NoError(t, link.Close())
	require.Error(t, link.SetOwner(12345))
	_, err = netlink.LinkByName(link.Name)
	require.ErrorAs(t, err, new(netlink.LinkNotFoundError))
}
