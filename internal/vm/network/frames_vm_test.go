//go:build vm

package network

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const vnetHeader = 10

// ethernet is a frame as a monitor writes it to the tap.
func ethernet(to, from net.HardwareAddr, kind uint16, payload []byte) []byte {
	frame := make([]byte, vnetHeader)
	frame = append(append(frame, to...), from...)
	return append(binary.BigEndian.AppendUint16(frame, kind), payload...)
}

func checksum(parts ...[]byte) uint16 {
	var sum uint32
	all := bytes.Join(parts, nil)
	for i, b := range all {
		if i%2 == 0 {
			sum += uint32(b) << 8
		} else {
			sum += uint32(b)
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

func packet(from, to netip.Addr, protocol byte, segment []byte) []byte {
	if from.Is6() {
		out := []byte{0x60, 0, 0, 0}
		out = binary.BigEndian.AppendUint16(out, uint16(len(segment)))
		out = append(out, protocol, 64)
		return append(append(append(out, from.AsSlice()...), to.AsSlice()...), segment...)
	}
	out := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0}
	binary.BigEndian.PutUint16(out[2:], uint16(20+len(segment)))
	out = append(append(out, from.AsSlice()...), to.AsSlice()...)
	binary.BigEndian.PutUint16(out[10:], checksum(out))
	return append(out, segment...)
}

// segment is a packet's inside with a right checksum: a UDP datagram, a TCP SYN with data, an echo request, or just the data.
func segment(from, to netip.Addr, protocol byte, source, destination uint16, data []byte) []byte {
	var out []byte
	at := 0
	switch protocol {
	case unix.IPPROTO_UDP:
		out = binary.BigEndian.AppendUint16(nil, source)
		out = binary.BigEndian.AppendUint16(out, destination)
		out = binary.BigEndian.AppendUint16(out, uint16(8+len(data)))
		out, at = append(out, 0, 0), 6
	case unix.IPPROTO_TCP:
		out = binary.BigEndian.AppendUint16(nil, source)
		out = binary.BigEndian.AppendUint16(out, destination)
		out = append(out, 0, 0, 0, 1, 0, 0, 0, 0, 5<<4, 2, 0xff, 0xff, 0, 0, 0, 0)
		at = 16
	case unix.IPPROTO_ICMP:
		out, at = []byte{8, 0, 0, 0, byte(source >> 8), byte(source), 0, 1}, 2
	case unix.IPPROTO_ICMPV6:
		out, at = []byte{128, 0, 0, 0, byte(source >> 8), byte(source), 0, 1}, 2
	default:
		return data
	}
	out = append(out, data...)
	if protocol == unix.IPPROTO_ICMP {
		binary.BigEndian.PutUint16(out[at:], checksum(out))
		return out
	}
	// TCP, UDP and ICMPv6 cover the addresses, the length and the protocol as well.
	header := append(from.AsSlice(), to.AsSlice()...)
	header = binary.BigEndian.AppendUint32(header, uint32(len(out)))
	header = append(header, 0, 0, 0, protocol)
	binary.BigEndian.PutUint16(out[at:], checksum(header, out))
	return out
}

// sniffer keeps all frames that come out of a device.
type sniffer struct {
	mu     sync.Mutex
	frames [][]byte
	more   chan struct{}
}

// sniff reads file until the test ends.
func sniff(t *testing.T, file *os.File) *sniffer {
	t.Helper()
	s := &sniffer{more: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 1<<17)
		for {
			n, err := file.Read(buffer)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.frames = append(s.frames, bytes.Clone(buffer[:n]))
			s.mu.Unlock()
			select {
			case s.more <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() {
		_ = file.Close()
		<-done
	})
	return s
}

// packetSocket sees every frame of a device of the calling thread's namespace.
func packetSocket(t *testing.T, device string) *os.File {
	t.Helper()
	link, err := netlink.LinkByName(device)
	require.NoError(t, err)
	all := uint16(unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(all))
	require.NoError(t, err)
	require.NoError(t, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Attrs().Index}))
	return os.NewFile(uintptr(fd), device)
}

func (s *sniffer) seen(match func(frame []byte) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, frame := range s.frames {
		if match(frame) {
			return true
		}
	}
	return false
}

func (s *sniffer) wait(t *testing.T, what string, match func(frame []byte) bool) {
	t.Helper()
	timeout := time.NewTimer(5 * time.Second)
	defer timeout.Stop()
	for !s.seen(match) {
		select {
		case <-s.more:
		case <-timeout.C:
			require.FailNow(t, "it never came", what)
		}
	}
}
