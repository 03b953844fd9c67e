package guest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/vm/channel"
)

func configure(c channel.Configure) error {
	now := unix.NsecToTimeval(c.Time.UnixNano())
	if err := unix.Settimeofday(&now); err != nil {
		return fmt.Errorf("setting the clock: %w", err)
	}
	if err := addEntropy(c.Entropy); err != nil {
		return fmt.Errorf("adding entropy: %w", err)
	}
	if err := unix.Sethostname([]byte(c.Hostname)); err != nil {
		return fmt.Errorf("setting the host name %q: %w", c.Hostname, err)
	}
	var dns []netip.Addr
	if err := upLoopback(); err != nil {
		return err
	}
	if c.Network != nil {
		if err := setUpNetwork(*c.Network); err != nil {
			return fmt.Errorf("network: %w", err)
		}
		dns = c.Network.DNS
	}
	return writeNames(c.Hostname, dns)
}

// addEntropy credits the bytes in full: they come from the host's generator (random(4), RNDADDENTROPY).
func addEntropy(entropy []byte) error {
	if len(entropy) < 32 || len(entropy) > 4096 {
		return fmt.Errorf("%d bytes of it; 32 to 4096 are allowed", len(entropy))
	}
	random, err := os.OpenFile("/dev/urandom", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = random.Close() }()
	pool := binary.NativeEndian.AppendUint32(nil, uint32(len(entropy)*8))
	pool = binary.NativeEndian.AppendUint32(pool, uint32(len(entropy)))
	pool = append(pool, entropy...)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, random.Fd(), unix.RNDADDENTROPY, uintptr(unsafe.Pointer(&pool[0]))); errno != 0 {
		return errno
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, random.Fd(), unix.RNDRESEEDCRNG, 0); errno != 0 {
		return errno
	}
	return nil
}

func upLoopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	return netlink.LinkSetUp(lo)
}

func setUpNetwork(n channel.Network) error {
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return fmt.Errorf("eth0: %w", err)
	}
	// Addresses of before a snapshot belong to another machine.
	old, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for i := range old {
		if err := netlink.AddrDel(link, &old[i]); err != nil {
			return err
		}
	}
	if err := netlink.LinkSetMTU(link, n.MTU); err != nil {
		return fmt.Errorf("MTU %d: %w", n.MTU, err)
	}
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet(n.Address)}); err != nil {
		return fmt.Errorf("address %s: %w", n.Address, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	if err := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: n.Gateway.AsSlice()}); err != nil {
		return fmt.Errorf("route by %s: %w", n.Gateway, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// writeNames writes what resolvers read; containers get the same files.
func writeNames(hostname string, dns []netip.Addr) error {
	var resolv strings.Builder
	for _, server := range dns {
		fmt.Fprintf(&resolv, "nameserver %s\n", server)
	}
	return errors.Join(
		os.WriteFile("/etc/resolv.conf", []byte(resolv.String()), 0o644),
		os.WriteFile("/etc/hostname", []byte(hostname+"\n"), 0o644),
		os.WriteFile("/etc/hosts", []byte("127.0.0.1 localhost "+hostname+"\n"), 0o644),
	)
}
