package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/fault"
)

// defaultMTU is the MTU of a host without a default route.
const defaultMTU = 1500

// hostRoutes returns the destinations of all IPv4 routes of the host, in every table; the host's own addresses are among them.
func hostRoutes() ([]netip.Prefix, error) {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("listing the host's routes: %w", err)
	}
	var out []netip.Prefix
	for _, route := range routes {
		if route.Dst == nil {
			continue
		}
		addr, ok := netip.AddrFromSlice(route.Dst.IP)
		bits, size := route.Dst.Mask.Size()
		if addr = addr.Unmap(); ok && addr.Is4() && size == 32 {
			out = append(out, netip.PrefixFrom(addr, bits))
		}
	}
	return out, nil
}

// outsideMTU is the MTU on the way to the outside: that of the default route, or of its interface.
func outsideMTU() (int, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return 0, fmt.Errorf("listing the host's routes: %w", err)
	}
	var best *netlink.Route
	for i, route := range routes {
		if isDefault := route.Dst == nil || route.Dst.IP.IsUnspecified() && isZero(route.Dst.Mask); !isDefault {
			continue
		}
		if best == nil || route.Priority < best.Priority {
			best = &routes[i]
		}
	}
	if best == nil {
		return defaultMTU, nil
	}
	index := best.LinkIndex
	if len(best.MultiPath) > 0 {
		index = best.MultiPath[0].LinkIndex
	}
	device, err := netlink.LinkByIndex(index)
	if err != nil {
		return 0, fmt.Errorf("looking at the default route's interface: %w", err)
	}
	if mtu := device.Attrs().MTU; best.MTU == 0 || mtu < best.MTU {
		return mtu, nil
	}
	return best.MTU, nil
}

func isZero(mask net.IPMask) bool {
	ones, _ := mask.Size()
	return ones == 0
}

// sysctl is a setting's path; names of devices have no slash.
func sysctl(parts ...string) string {
	return filepath.Join(append([]string{"/proc/sys/net"}, parts...)...)
}

// enableForwarding lets the host pass IPv4 packets on, and says whether it didn't do so before.
func enableForwarding() (changed bool, err error) {
	path := sysctl("ipv4", "ip_forward")
	value, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("looking whether the host forwards packets: %w", err)
	}
	if !bytes.Equal(bytes.TrimSpace(value), []byte("0")) {
		return false, nil
	}
	if err := os.WriteFile(path, []byte("1"), 0); err != nil {
		return false, fault.Operatorf("machines need net.ipv4.ip_forward, which is off and can't be turned on (%w): set it to 1 with sysctl", err)
	}
	return true, nil
}

// harden turns off what a tap has no use for: IPv6; answers to ARP for the host's other addresses; sources that don't belong to the link;
// redirects.
func harden(tap string) error {
	if err := os.WriteFile(sysctl("ipv6", "conf", tap, "disable_ipv6"), []byte("1"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("turning IPv6 off: %w", err)
	}
	for setting, value := range map[string]string{
		"arp_ignore": "1", "rp_filter": "1", "accept_redirects": "0", "send_redirects": "0", "accept_source_route": "0", "proxy_arp": "0",
	} {
		if err := os.WriteFile(sysctl("ipv4", "conf", tap, setting), []byte(value), 0); err != nil {
			return fmt.Errorf("setting %s to %s: %w", setting, value, err)
		}
	}
	return nil
}

// listenDNS takes port 53 of an address that need not be there yet. The port is what keeps two executors from using the same address at the
// same time: errTaken says that another one has it.
func listenDNS(ctx context.Context, gateway netip.Addr) (*net.UDPConn, *net.TCPListener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) })
		return errors.Join(err, failed)
	}}
	address := netip.AddrPortFrom(gateway, dnsPort).String()
	packets, err := config.ListenPacket(ctx, "udp4", address)
	if err != nil {
		return nil, nil, listenError(err)
	}
	listener, err := config.Listen(ctx, "tcp4", address)
	if err != nil {
		return nil, nil, errors.Join(listenError(err), packets.Close())
	}
	return packets.(*net.UDPConn), listener.(*net.TCPListener), nil
}

var errTaken = errors.New("port 53 is taken")

func listenError(err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%w: %w", errTaken, err)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fault.Operatorf("the machines' DNS relay: %w: the executor has to be root or have CAP_NET_BIND_SERVICE", err)
	}
	return fmt.Errorf("the machines' DNS relay: %w", err)
}

// forget removes what the kernel remembers of an address's connections, so that the address's next machine gets none of their packets.
func forget(guest netip.Addr) error {
	filter := new(netlink.ConntrackFilter)
	if err := filter.AddIP(netlink.ConntrackOrigSrcIP, net.IP(guest.AsSlice())); err != nil {
		return err
	}
	if _, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, netlink.FAMILY_V4, filter); err != nil {
		return fmt.Errorf("forgetting the connections of %s: %w", guest, err)
	}
	return nil
}

// shape limits what a device sends, to the machine that is, in bytes per second. What is more waits for 50 ms at most.
func shape(device netlink.Link, rate int64) error {
	size := uint32(burst(rate))
	err := netlink.QdiscAdd(&netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: device.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       uint64(rate),
		Buffer:     netlink.Xmittime(uint64(rate), size),
		Limit:      size + uint32(min(rate/20, 256<<20)),
	})
	if errors.Is(err, unix.ENOENT) {
		return fault.Operatorf("limiting bandwidth: %w: the kernel lacks the queueing discipline tbf (module sch_tbf)", err)
	}
	if err != nil {
		return fmt.Errorf("limiting bandwidth: %w", err)
	}
	return nil
}
