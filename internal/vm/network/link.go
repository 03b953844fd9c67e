// Package network gives each microVM a network of its own and says what it may reach.
//
// A machine gets a tap device with a /30 of its own, which the host routes and masquerades, and a DNS relay on the host's end of it. What
// the machine may reach is one nftables table per executor, made and replaced as a whole; it ends with the executor. All of it works in the
// network namespace of the calling thread.
package network

import (
	"net"
	"net/netip"
	"os"
	"sync"
)

// Link is one machine's network.
type Link struct {
	// Tap is the open tap device, which is gone when it and all its duplicates are closed; nil for a link that stays until Close.
	Tap *os.File
	// Name is the tap's name on the host.
	Name string
	// MAC is the guest's hardware address.
	MAC net.HardwareAddr
	// Guest is the guest's address with its prefix length; Gateway is the host's end, which also answers DNS on port 53.
	Guest   netip.Prefix
	Gateway netip.Addr
	// MTU in bytes.
	MTU int

	once   sync.Once
	closed error
	// undo takes everything away; nil for a link that Attach didn't make.
	undo func() error
}

// Close takes the machine's network away, even under a monitor that still holds the tap: the relay, the tap, its place in the policy, and
// what the kernel remembers of its connections. It may be called more than once and from several goroutines. It takes 10 seconds at most
// for each of these; the /30 stays out of use when one can't be taken away.
func (l *Link) Close() error {
	l.once.Do(func() {
		if l.undo != nil {
			l.closed = l.undo()
		}
	})
	return l.closed
}
