package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/sourcegraph/log"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/fault"
)

// place is a /30 that nobody else has as long as its sockets are open.
type place struct {
	slot    int
	gateway netip.Addr
	guest   netip.Prefix
	udp     *net.UDPConn
	tcp     *net.TCPListener
}

func (p place) close() error { return errors.Join(p.udp.Close(), p.tcp.Close()) }

// reserve finds a free place. It goes round the subnet, so that an address rests before it is used again.
func (n *Network) reserve(ctx context.Context) (place, error) {
	routes, err := hostRoutes()
	if err != nil {
		return place{}, err
	}
	subnet := n.options.Subnet
	routes = inTheWay(subnet, routes)
	var taken error
	for range slots(subnet) {
		slot, ok := n.take()
		if !ok {
			break
		}
		gateway, guest := addresses(subnet, slot)
		if overlaps(guest.Masked(), routes) {
			n.release(slot)
			continue
		}
		udp, tcp, err := listenDNS(ctx, gateway)
		if err == nil {
			return place{slot, gateway, guest, udp, tcp}, nil
		}
		n.release(slot)
		if !errors.Is(err, errTaken) {
			return place{}, err
		}
		taken = err
	}
	if n.isClosed() {
		return place{}, errClosed
	}
	if taken != nil {
		return place{}, fault.Operatorf("no address for a machine in %s (%w): is a DNS server listening on all addresses of this host? "+
			"Let it listen on its own ones only, or give machines a wider subnet", subnet, taken)
	}
	return place{}, fault.Operatorf(
		"no address for a machine in %s: the host's routes or other machines use all of it (%s); choose another subnet",
		subnet, some(routes))
}

// take marks the next unused slot as used.
func (n *Network) take() (int, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return 0, false
	}
	all := slots(n.options.Subnet)
	for range all {
		slot := n.next % all
		n.next = slot + 1
		if _, used := n.links[slot]; !used {
			n.links[slot] = nil
			return slot, true
		}
	}
	return 0, false
}

func (n *Network) release(slot int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.links, slot)
}

func some(routes []netip.Prefix) string {
	const shown = 4
	if len(routes) > shown {
		return fmt.Sprintf("%v and %d more", routes[:shown], len(routes)-shown)
	}
	return fmt.Sprint(routes)
}

// Attach makes the network of one machine. The end of ctx afterwards doesn't end it. On error nothing is left behind.
func (n *Network) Attach(ctx context.Context) (*Link, error) {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil, errClosed
	}
	n.making.Add(1)
	n.mu.Unlock()
	defer n.making.Done()

	place, err := n.reserve(ctx)
	if err != nil {
		return nil, err
	}
	link, err := n.attach(ctx, place)
	if err != nil {
		return nil, fmt.Errorf("making the network of a machine: %w", err)
	}
	return link, nil
}

func (n *Network) attach(ctx context.Context, place place) (_ *Link, err error) {
	guestMAC, hostMAC := n.policy.macs(place.slot)
	link := &Link{Name: n.policy.tap(place.slot), MAC: guestMAC, Guest: place.guest, Gateway: place.gateway}
	stop := place.close
	link.undo = func() error { return n.detach(link, place.slot, stop) }
	defer func() {
		if err != nil {
			err = errors.Join(err, link.Close())
		}
	}()
	if link.MTU, err = outsideMTU(); err != nil {
		return nil, err
	}
	if link.Tap, err = createTap(link.Name); err != nil {
		return nil, err
	}
	if n.options.Persistent {
		err = errors.Join(persist(link.Tap), link.Tap.Close())
		link.Tap = nil
		if err != nil {
			return nil, err
		}
	}
	device, err := n.configure(link, hostMAC)
	if err != nil {
		return nil, fmt.Errorf("setting up tap %s: %w", link.Name, err)
	}
	if err := n.admit(ctx, link, place.slot); err != nil {
		return nil, err
	}
	if err := netlink.LinkSetUp(device); err != nil {
		return nil, fmt.Errorf("setting tap %s up: %w", link.Name, err)
	}
	stop = startRelay(n.logger, place.udp, place.tcp, link.Guest.Addr(), n.resolvers, queryTime).close
	return link, nil
}

// configure prepares the tap, which stays down: nothing may pass before the policy knows it.
func (n *Network) configure(link *Link, mac net.HardwareAddr) (netlink.Link, error) {
	device, err := netlink.LinkByName(link.Name)
	if err != nil {
		return nil, err
	}
	if err := netlink.LinkSetHardwareAddr(device, mac); err != nil {
		return nil, fmt.Errorf("hardware address %s: %w", mac, err)
	}
	if err := harden(link.Name); err != nil {
		return nil, err
	}
	if err := netlink.LinkSetMTU(device, link.MTU); err != nil {
		return nil, fmt.Errorf("MTU %d: %w", link.MTU, err)
	}
	if n.options.IngressBytes > 0 {
		if err := shape(device, n.options.IngressBytes); err != nil {
			return nil, err
		}
	}
	address := &net.IPNet{IP: link.Gateway.AsSlice(), Mask: net.CIDRMask(linkBits, 32)}
	if err := netlink.AddrAdd(device, &netlink.Addr{IPNet: address}); err != nil {
		return nil, fmt.Errorf("address %s: %w", address, err)
	}
	return device, nil
}

// admit gives the link its place in the policy.
func (n *Network) admit(ctx context.Context, link *Link, slot int) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	n.mu.Lock()
	n.links[slot] = link
	n.mu.Unlock()
	return n.change(ctx, n.policy.admit(link.member()))
}

// dismiss takes the link's place away.
func (n *Network) dismiss(link *Link, slot int) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	n.mu.Lock()
	n.links[slot] = nil
	n.mu.Unlock()
	return n.change(context.Background(), n.policy.dismiss(link.member())) // nft has a time limit of its own
}

// change runs a script that changes the tables. When that fails, because they are gone for example, they are made again for the links there
// are now.
func (n *Network) change(ctx context.Context, script string) error {
	_, err := nft(ctx, script)
	if err == nil {
		return nil
	}
	if again := n.restore(ctx, log.Error(err)); again != nil {
		return fmt.Errorf("changing the machines' egress policy: %w", errors.Join(err, again))
	}
	return nil
}

func (l *Link) member() member { return member{tap: l.Name, guest: l.Guest.Addr(), gateway: l.Gateway} }

// detach undoes attach, from any of its stages. The tap goes before its place in the policy, and the address is free only when all is gone.
func (n *Network) detach(link *Link, slot int, stop func() error) error {
	// Stopping frees port 53, by which other executors see the address as free: it comes last.
	err := errors.Join(removeTap(link), n.dismiss(link, slot), forget(link.Guest.Addr()))
	err = errors.Join(err, stop())
	if err != nil {
		return fmt.Errorf("taking away the network of a machine (tap %s): %w", link.Name, err)
	}
	n.release(slot)
	return nil
}

func removeTap(link *Link) error {
	device, err := netlink.LinkByName(link.Name)
	var gone netlink.LinkNotFoundError
	switch {
	case err == nil:
		err = netlink.LinkDel(device)
		if errors.Is(err, unix.ENODEV) {
			err = nil
		}
	case errors.As(err, &gone):
		err = nil
	}
	if link.Tap != nil {
		// Whoever had the tap may have closed it.
		if closing := link.Tap.Close(); !errors.Is(closing, os.ErrClosed) {
			err = errors.Join(err, closing)
		}
	}
	return err
}
