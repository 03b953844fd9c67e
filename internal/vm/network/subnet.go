package network

import (
	"encoding/binary"
	"net/netip"
)

const (
	// linkBits is the prefix length of a machine's network: its address, the gateway's, and two that can't be used.
	linkBits = 30
	// maxSlots is how many machines an executor tells apart; the taps' names have room for five digits.
	maxSlots = 1 << 16
)

// slots is the number of machines that have room in subnet.
func slots(subnet netip.Prefix) int { return min(1<<(linkBits-subnet.Bits()), maxSlots) }

// addresses are the two ends of a slot.
func addresses(subnet netip.Prefix, slot int) (gateway netip.Addr, guest netip.Prefix) {
	first := subnet.Addr().As4()
	base := binary.BigEndian.Uint32(first[:]) + uint32(slot)<<(32-linkBits)
	at := func(n uint32) netip.Addr {
		var bytes [4]byte
		binary.BigEndian.PutUint32(bytes[:], base+n)
		return netip.AddrFrom4(bytes)
	}
	return at(1), netip.PrefixFrom(at(2), linkBits)
}

// inTheWay returns those of the host's routes that keep slots from being used. Wider ones than the subnet don't: like the default route
// they only lose a little to the link's own.
func inTheWay(subnet netip.Prefix, routes []netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for _, route := range routes {
		if route.Bits() >= subnet.Bits() && route.Overlaps(subnet) {
			out = append(out, route)
		}
	}
	return out
}

func overlaps(network netip.Prefix, routes []netip.Prefix) bool {
	for _, route := range routes {
		if route.Overlaps(network) {
			return true
		}
	}
	return false
}
