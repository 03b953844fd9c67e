//go:build vm

package network

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// scene is a host with two machines whose every frame the test writes and sees, and an outside that sees all that leaves the host. The
// kernel's own defences (IPv6 off, reverse path filter, loopback not routed) are down, so that only the policy holds.
type scene struct {
	network  *Network
	a, b     *Link
	taps     map[*Link]*sniffer
	hostMACs map[*Link]net.HardwareAddr
	outside  *sniffer
	marks    int
}

const sceneAllow = "tcp:10.0.0.5:5000 10.7.0.0/16 udp:" + hostPublic + ":7000 tcp:10.8.0.0/16:80-81 172.17.0.0/16 10.61.0.0/16"

func newScene(t *testing.T) *scene {
	t.Helper()
	outside := newOutside(t)
	setting(t, "0", "ipv4", "icmp_ratelimit")
	setting(t, "1", "ipv6", "conf", "all", "forwarding")
	addAddress(t, "out0", "fd99::2/64")
	// Docker's bridge, say: a private address of the host, and one that others reach under a port of its public address.
	require.NoError(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "docker0"}, PeerName: "docker1"}))
	up(t, "docker1")
	addAddress(t, "docker0", "172.17.0.1/16")
	up(t, "docker0")
	_, err := nft(t.Context(), "table ip published { chain p { type nat hook prerouting priority dstnat; "+
		"ip daddr "+hostPublic+" udp dport 8080 dnat to 10.7.1.1:80; ip daddr "+outsidePublic+" udp dport 8081 dnat to 10.9.9.9:80; "+
		"ip daddr "+outsidePublic+" udp dport 8082 redirect to :7070; }; }")
	require.NoError(t, err)

	rules, err := ParseRules(sceneAllow)
	require.NoError(t, err)
	s := &scene{taps: map[*Link]*sniffer{}, hostMACs: map[*Link]net.HardwareAddr{}}
	s.network, err = New(t.Context(), logtest.Scoped(t), Options{
		Executor: "attacked", Allow: rules, Resolvers: func() ([]netip.AddrPort, error) { return nil, errors.New("none here") },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.network.Close(context.Background())) })
	s.a, s.b = s.attach(t), s.attach(t)
	outside.do(t, func() {
		addAddress(t, "in0", "fd99::1/64")
		s.outside = sniff(t, packetSocket(t, "in0"))
	})
	addNeighbour(t, "out0", "fd99::1", net.HardwareAddr{2, 0, 0, 0, 0, 1})
	return s
}

func (s *scene) attach(t *testing.T) *Link {
	t.Helper()
	link, err := s.network.Attach(t.Context())
	require.NoError(t, err)
	disabled, err := os.ReadFile(sysctl("ipv6", "conf", link.Name, "disable_ipv6"))
	require.NoError(t, err)
	require.Equal(t, "1\n", string(disabled))
	setting(t, "0", "ipv6", "conf", link.Name, "disable_ipv6")
	setting(t, "0", "ipv4", "conf", link.Name, "rp_filter")
	setting(t, "1", "ipv4", "conf", link.Name, "route_localnet")
	addAddress(t, link.Name, "fd61::1/128")
	addNeighbour(t, link.Name, link.Guest.Addr().String(), link.MAC)
	addNeighbour(t, link.Name, "fd61::2", link.MAC)
	device, err := netlink.LinkByName(link.Name)
	require.NoError(t, err)
	s.hostMACs[link] = device.Attrs().HardwareAddr
	s.taps[link] = sniff(t, link.Tap)
	return link
}

func addNeighbour(t *testing.T, device, address string, mac net.HardwareAddr) {
	t.Helper()
	link, err := netlink.LinkByName(device)
	require.NoError(t, err)
	ip := net.ParseIP(address)
	require.NoError(t, netlink.NeighSet(&netlink.Neigh{
		LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: ip, HardwareAddr: mac,
	}))
	if ip.To4() == nil {
		prefix, err := netlink.ParseIPNet(address + "/128")
		require.NoError(t, err)
		if device != "out0" {
			_ = netlink.RouteAdd(&netlink.Route{Dst: prefix, LinkIndex: link.Attrs().Index}) // the second link's is there already
		}
	}
}

// send writes a packet of machine A and says whether it, or an answer to it, came out anywhere.
func (s *scene) send(t *testing.T, a attack) bool {
	t.Helper()
	from, to, protocol, port := a.from, a.to, a.protocol, a.port
	s.marks++
	mark := fmt.Appendf(nil, "MARK%04d", s.marks)
	source, destination := netip.MustParseAddr(from), netip.MustParseAddr(to)
	own := uint16(20000 + s.marks)
	kind := uint16(unix.ETH_P_IP)
	if source.Is6() {
		kind = unix.ETH_P_IPV6
	}
	inside := segment(source, destination, protocol, own, port, mark)
	if a.broken {
		inside[16] ^= 1 // TCP's
	}
	s.write(t, s.a, kind, packet(source, destination, protocol, inside))
	s.settle(t)
	arrived := func(frame []byte) bool { return bytes.Contains(frame, mark) || isTCPAnswer(frame, port, own) }
	return s.outside.seen(arrived) || s.taps[s.a].seen(arrived) || s.taps[s.b].seen(arrived)
}

func isTCPAnswer(frame []byte, from, to uint16) bool {
	const ports = vnetHeader + 14 + 20
	return len(frame) >= ports+4 && frame[vnetHeader+14+9] == unix.IPPROTO_TCP &&
		binary.BigEndian.Uint16(frame[ports:]) == from && binary.BigEndian.Uint16(frame[ports+2:]) == to
}

func (s *scene) write(t *testing.T, link *Link, kind uint16, payload []byte) {
	t.Helper()
	_, err := link.Tap.Write(ethernet(s.hostMACs[link], link.MAC, kind, payload))
	require.NoError(t, err)
}

// settle waits until the sniffers have all that came before, by something behind it that does come.
func (s *scene) settle(t *testing.T) {
	t.Helper()
	s.marks++
	mark := fmt.Appendf(nil, "MARK%04d", s.marks)
	marked := func(frame []byte) bool { return bytes.Contains(frame, mark) }
	guest, outside := s.a.Guest.Addr(), netip.MustParseAddr(outsidePublic)
	s.write(t, s.a, unix.ETH_P_IP, packet(guest, outside, unix.IPPROTO_UDP, segment(guest, outside, unix.IPPROTO_UDP, 9, 9, mark)))
	s.outside.wait(t, "a packet to the outside", marked)
	for _, link := range []*Link{s.a, s.b} {
		guest := link.Guest.Addr()
		question := append([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, byte(len(mark))}, mark...)
		question = append(question, 0, 0, 1, 0, 1)
		s.write(t, link, unix.ETH_P_IP, packet(guest, link.Gateway, unix.IPPROTO_UDP,
			segment(guest, link.Gateway, unix.IPPROTO_UDP, 5353, dnsPort, question)))
		s.taps[link].wait(t, "an answer of the DNS relay", marked)
	}
}

// attack is something that a machine must not be able to send.
type attack struct {
	name, from, to string
	protocol       byte
	port           uint16
	// broken packets have a wrong checksum: the kernel doesn't translate their addresses.
	broken bool
	// hopeless attacks don't arrive anywhere without the policy either, since the kernel itself stops them.
	hopeless bool
}

func attacks(s *scene) []attack {
	guest, gateway, neighbour := s.a.Guest.Addr().String(), s.a.Gateway.String(), s.b.Guest.Addr().String()
	list := []attack{
		{name: "IPv6 outside", from: "fd61::2", to: "fd99::1", protocol: unix.IPPROTO_UDP, port: 9},
		{name: "IPv6 outside TCP", from: "fd61::2", to: "fd99::1", protocol: unix.IPPROTO_TCP, port: 9},
		{name: "IPv6 to host", from: "fd61::2", to: "fd61::1", protocol: unix.IPPROTO_ICMPV6},
		{name: "spoofed private", from: "10.20.30.40", to: outsidePublic, protocol: unix.IPPROTO_UDP, port: 9},
		{name: "spoofed public", from: "198.51.100.7", to: outsidePublic, protocol: unix.IPPROTO_UDP, port: 9},
		{name: "spoofed neighbour", from: neighbour, to: outsidePublic, protocol: unix.IPPROTO_UDP, port: 9},
		{name: "spoofed to host", from: "198.51.100.7", to: gateway, protocol: unix.IPPROTO_UDP, port: dnsPort, hopeless: true},
		{name: "untranslated", from: guest, to: outsidePublic, protocol: unix.IPPROTO_TCP, port: 9, broken: true},
		{name: "SCTP", from: guest, to: outsidePublic, protocol: unix.IPPROTO_SCTP},
		{name: "GRE", from: guest, to: outsidePublic, protocol: unix.IPPROTO_GRE},
		{name: "IPv6 in IPv4", from: guest, to: outsidePublic, protocol: unix.IPPROTO_IPV6},
		{name: "host's DNS on another address", from: guest, to: s.b.Gateway.String(), protocol: unix.IPPROTO_TCP, port: dnsPort},
		{name: "published by DNAT", from: guest, to: hostPublic, protocol: unix.IPPROTO_UDP, port: 8080},
		{name: "private by DNAT", from: guest, to: outsidePublic, protocol: unix.IPPROTO_UDP, port: 8081},
		{name: "host by redirection", from: guest, to: outsidePublic, protocol: unix.IPPROTO_UDP, port: 8082},
		{name: "allowed address, other port", from: guest, to: "10.0.0.5", protocol: unix.IPPROTO_TCP, port: 5001},
		{name: "allowed address, other protocol", from: guest, to: "10.0.0.5", protocol: unix.IPPROTO_UDP, port: 5000},
		{name: "allowed address, echo", from: guest, to: "10.0.0.5", protocol: unix.IPPROTO_ICMP},
		{name: "allowed on the host, other port", from: guest, to: hostPublic, protocol: unix.IPPROTO_UDP, port: 7001},
		{name: "host in an allowed network", from: guest, to: "172.17.0.1", protocol: unix.IPPROTO_TCP, port: 22},
		{name: "all-hosts multicast", from: guest, to: "224.0.0.1", protocol: unix.IPPROTO_UDP, port: 9, hopeless: true},
		{name: "broadcast", from: guest, to: "255.255.255.255", protocol: unix.IPPROTO_UDP, port: 9, hopeless: true},
		{name: "zero", from: guest, to: "0.0.0.0", protocol: unix.IPPROTO_UDP, port: 9, hopeless: true},
		{name: "zero network", from: guest, to: "0.1.2.3", protocol: unix.IPPROTO_UDP, port: 9},
	}
	for _, to := range []string{
		gateway, s.b.Gateway.String(), hostPublic, "127.0.0.1", neighbour, "10.61.200.2",
		"10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8",
		"192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "240.0.0.1",
	} {
		for protocol, name := range map[byte]string{unix.IPPROTO_TCP: "TCP", unix.IPPROTO_UDP: "UDP", unix.IPPROTO_ICMP: "ICMP"} {
			list = append(list, attack{name: name + " to " + to, from: guest, to: to, protocol: protocol, port: 22})
		}
	}
	return list
}

func TestAttacks(t *testing.T) {
	if !isolated(t) {
		return
	}
	s := newScene(t)
	for _, a := range attacks(s) {
		require.False(t, s.send(t, a), a.name)
	}
	s.arp(t, "198.51.100.7", false)
	s.arp(t, s.a.Guest.Addr().String(), true)
	require.False(t, s.fromHost(t))
}

// fromHost sends a datagram of the host's own to machine A, and says whether it came.
func (s *scene) fromHost(t *testing.T) bool {
	t.Helper()
	conn, err := net.Dial("udp4", net.JoinHostPort(s.a.Guest.Addr().String(), "9"))
	require.NoError(t, err)
	defer conn.Close()
	_, _ = conn.Write([]byte("FROMHOST")) // a drop on the way out is an error here
	s.settle(t)
	return s.taps[s.a].seen(func(frame []byte) bool { return bytes.Contains(frame, []byte("FROMHOST")) })
}

// arp asks for the gateway in the name of an address, and looks whether the host answers.
func (s *scene) arp(t *testing.T, from string, answered bool) {
	t.Helper()
	request := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	request = append(append(request, s.a.MAC...), netip.MustParseAddr(from).AsSlice()...)
	request = append(append(request, make([]byte, 6)...), s.a.Gateway.AsSlice()...)
	s.write(t, s.a, unix.ETH_P_ARP, request)
	s.settle(t)
	target := append(bytes.Clone(s.a.MAC), netip.MustParseAddr(from).AsSlice()...)
	require.Equal(t, answered, s.taps[s.a].seen(func(frame []byte) bool {
		return bytes.Equal(frame[vnetHeader+12:vnetHeader+14], []byte{8, 6}) && bytes.Contains(frame[vnetHeader+14:], target)
	}), "ARP from %s", from)
}

// Without the policy the same attacks arrive: it is the policy that stops them, and the test that sees it.
func TestAttacksArriveWithoutPolicy(t *testing.T) {
	if !isolated(t) {
		return
	}
	s := newScene(t)
	_, err := nft(t.Context(), "delete table inet "+s.network.policy.table+"\ndelete table arp "+s.network.policy.table)
	require.NoError(t, err)
	for _, a := range attacks(s) {
		require.Equal(t, !a.hopeless, s.send(t, a), a.name)
	}
	s.arp(t, "198.51.100.7", true)
	require.True(t, s.fromHost(t))
}

func TestAllowed(t *testing.T) {
	if !isolated(t) {
		return
	}
	s := newScene(t)
	guest := s.a.Guest.Addr().String()
	const tcp, udp, icmp = unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP
	for _, c := range []struct {
		to       string
		protocol byte
		port     uint16
	}{
		{outsidePublic, tcp, 443},
		{outsidePublic, udp, 443},
		{outsidePublic, icmp, 0},
		{"192.0.2.77", tcp, 443},
		{"8.8.4.4", udp, 53},
		{"10.0.0.5", tcp, 5000},
		{"10.7.1.2", udp, 9},
		{"10.7.1.2", icmp, 0},
		{"10.8.1.2", tcp, 81},
		{hostPublic, udp, 7000},
		{s.a.Gateway.String(), tcp, dnsPort},
	} {
		require.True(t, s.send(t, attack{from: guest, to: c.to, protocol: c.protocol, port: c.port}), "%v", c)
	}
}
