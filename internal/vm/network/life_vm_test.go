//go:build vm

package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/fault"
)

// traces are what there is of machines' networks on the host.
func traces(t *testing.T) (found []string) {
	t.Helper()
	devices, err := netlink.LinkList()
	require.NoError(t, err)
	for _, device := range devices {
		if strings.HasPrefix(device.Attrs().Name, tapPrefix) {
			found = append(found, "device "+device.Attrs().Name)
		}
	}
	listed, err := nftList(t.Context(), "list", "tables")
	require.NoError(t, err)
	for line := range strings.Lines(listed) {
		found = append(found, strings.TrimSpace(line))
	}
	routes, err := hostRoutes()
	require.NoError(t, err)
	for _, route := range inTheWay(DefaultSubnet, routes) {
		found = append(found, "route "+route.String())
	}
	flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, netlink.FAMILY_V4)
	require.NoError(t, err)
	for _, flow := range flows {
		if from, _ := netip.AddrFromSlice(flow.Forward.SrcIP); DefaultSubnet.Contains(from.Unmap()) {
			found = append(found, "connection "+flow.String())
		}
	}
	return found
}

func TestNothingIsLeft(t *testing.T) {
	if !isolated(t) {
		return
	}
	for _, persistent := range []bool{false, true} {
		outside := newOutsideOnce(t, persistent)
		n, err := New(t.Context(), logtest.Scoped(t), Options{Executor: "tidy", Persistent: persistent})
		require.NoError(t, err)
		link, other := attach(t, n), attach(t, n)
		if !persistent {
			machine := boot(t, link)
			serve(t, outside, outsidePublic+":80", func(net.Conn) {})
			_, err := dialFrom(t, machine, "tcp4", outsidePublic+":80", 5*time.Second)
			require.NoError(t, err)
			require.Contains(t, strings.Join(traces(t), "\n"), "connection ")
			// A monitor that lives on keeps the tap open.
			raw, err := unix.Dup(int(duplicable(t, link.Tap)))
			require.NoError(t, err)
			defer unix.Close(raw)
		}
		before := strings.Join(traces(t), "\n")
		require.Contains(t, before, "device "+link.Name)
		require.Contains(t, before, "table inet ")
		require.Contains(t, before, "route "+link.Guest.Masked().String())

		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { require.NoError(t, link.Close()) })
		}
		wg.Wait()
		after := strings.Join(traces(t), "\n")
		require.NotContains(t, after, link.Name)
		require.NotContains(t, after, link.Guest.Masked().String())
		require.NotContains(t, after, "connection ")
		require.Contains(t, after, other.Name)
		rules, err := nftList(t.Context(), "list", "ruleset")
		require.NoError(t, err)
		require.NotContains(t, rules, `"`+link.Name+`"`)
		require.Contains(t, rules, `"`+other.Name+`"`)

		for range 2 {
			require.NoError(t, n.Close(t.Context()))
		}
		require.Empty(t, traces(t))
		_, err = n.Attach(t.Context())
		require.ErrorIs(t, err, errClosed)
		_, err = n.Verify(t.Context())
		require.ErrorIs(t, err, errClosed)
	}
}

func newOutsideOnce(t *testing.T, again bool) space {
	t.Helper()
	if again {
		return space{}
	}
	return newOutside(t)
}

func duplicable(t *testing.T, file *os.File) (fd uintptr) {
	t.Helper()
	raw, err := file.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(f uintptr) { fd = f }))
	return fd
}

func TestFailedAttachLeavesNothing(t *testing.T) {
	if !isolated(t) {
		return
	}
	n := newNetwork(t, Options{})
	before := traces(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := n.Attach(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, before, traces(t))
	attach(t, n)
}

func TestRemove(t *testing.T) {
	if !isolated(t) {
		return
	}
	count, err := Remove(t.Context(), "victim")
	require.NoError(t, err)
	require.Zero(t, count)

	victim := newNetwork(t, Options{Executor: "victim", Persistent: true})
	living := newNetwork(t, Options{Executor: "living", Persistent: true})
	attach(t, victim)
	attach(t, victim)
	kept := attach(t, living)
	count, err = Remove(t.Context(), "victim")
	require.NoError(t, err)
	require.Equal(t, 4, count, "two taps and two tables")
	count, err = Remove(t.Context(), "victim")
	require.NoError(t, err)
	require.Zero(t, count)
	_, err = netlink.LinkByName(kept.Name)
	require.NoError(t, err)
	present, err := presentTables(t.Context(), living.policy.table)
	require.NoError(t, err)
	require.Len(t, present, 2)
	// The cleanups close what was removed under them, without an error.
}

func TestExecutorsDontCollide(t *testing.T) {
	if !isolated(t) {
		return
	}
	addAddress(t, "lo", "10.61.0.6/32")
	subnet := netip.MustParsePrefix("10.61.0.0/26")
	networks := []*Network{newNetwork(t, Options{Executor: "a", Subnet: subnet}), newNetwork(t, Options{Executor: "b", Subnet: subnet})}
	_, err := New(t.Context(), logtest.Scoped(t), Options{Executor: "a"})
	require.ErrorContains(t, err, "is there already")

	var mu sync.Mutex
	used := map[netip.Prefix]string{netip.MustParsePrefix("10.61.0.4/30"): "the host"}
	var wg sync.WaitGroup
	for i := range 15 { // 16 places, less the host's
		wg.Go(func() {
			link, err := networks[i%2].Attach(t.Context())
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			other, taken := used[link.Guest.Masked()]
			if taken {
				t.Errorf("%s is %s's already", link.Guest, other)
			}
			used[link.Guest.Masked()] = link.Name
		})
	}
	wg.Wait()
	require.Len(t, used, 16)
	_, err = networks[0].Attach(t.Context())
	require.ErrorContains(t, err, "no address for a machine in 10.61.0.0/26")
	require.Equal(t, fault.Operator, fault.ClassOf(err))
}

func TestPolicyComesBack(t *testing.T) {
	if !isolated(t) {
		return
	}
	n := newNetwork(t, Options{})
	first := attach(t, n)
	mended, err := n.Verify(t.Context())
	require.NoError(t, err)
	require.False(t, mended)
	rules := func() string {
		listed, err := nftList(t.Context(), "list", "ruleset")
		require.NoError(t, err)
		return listed
	}
	whole := rules()
	for _, damage := range []string{"flush ruleset", "delete table arp " + n.policy.table, "delete table inet " + n.policy.table} {
		_, err = nft(t.Context(), damage)
		require.NoError(t, err)
		mended, err = n.Verify(t.Context())
		require.NoError(t, err)
		require.True(t, mended)
		require.Equal(t, whole, rules())
	}
	_, err = nft(t.Context(), "flush ruleset")
	require.NoError(t, err)
	second := attach(t, n)
	require.Contains(t, rules(), `"`+first.Name+`"`)
	require.Contains(t, rules(), `"`+second.Name+`"`)
	_, err = nft(t.Context(), "flush ruleset")
	require.NoError(t, err)
	require.NoError(t, second.Close())
	require.Equal(t, whole, rules())
}

func TestHostIsPrepared(t *testing.T) {
	if !isolated(t) {
		return
	}
	setting(t, "0", "ipv4", "ip_forward")
	_, err := nft(t.Context(), "table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; }")
	require.NoError(t, err)
	logger, exported := logtest.Captured(t)
	n, err := New(t.Context(), logger, Options{Executor: "first", Allow: []Rule{
		{Prefix: netip.MustParsePrefix("fd00::/8")}, {Prefix: netip.MustParsePrefix("0.0.0.0/0")},
	}})
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close(context.Background())) }()
	value, err := os.ReadFile(sysctl("ipv4", "ip_forward"))
	require.NoError(t, err)
	require.Equal(t, "1\n", string(value))
	value, err = os.ReadFile(sysctl("ipv6", "conf", "all", "forwarding"))
	require.NoError(t, err)
	require.Equal(t, "0\n", string(value))
	var messages []string
	for _, entry := range exported() {
		messages = append(messages, entry.Message)
	}
	said := strings.Join(messages, "\n")
	for _, part := range []string{"net.ipv4.ip_forward", "have no IPv6", "metadata address", "iptables -I FORWARD -i exvm+"} {
		require.Contains(t, said, part)
	}
	_, err = nft(t.Context(), `insert rule ip filter FORWARD iifname "exvm*" accept; insert rule ip filter FORWARD oifname "exvm*" accept`)
	require.NoError(t, err)
	sentences, err := ForwardingBlocked(t.Context())
	require.NoError(t, err)
	require.Empty(t, sentences)
}

func TestRefusals(t *testing.T) {
	if !isolated(t) {
		return
	}
	refused := func(options Options, want string) {
		t.Helper()
		_, err := New(t.Context(), logtest.Scoped(t), options)
		require.ErrorContains(t, err, want)
		require.Equal(t, fault.Operator, fault.ClassOf(err))
		require.Empty(t, traces(t))
	}
	everywhere, err := net.ListenPacket("udp4", "0.0.0.0:53")
	require.NoError(t, err)
	refused(Options{Executor: "x", Subnet: netip.MustParsePrefix("10.61.0.0/24")}, "is a DNS server listening on all addresses")
	require.NoError(t, everywhere.Close())

	path := os.Getenv("PATH")
	require.NoError(t, os.Setenv("PATH", ""))
	_, err = New(t.Context(), logtest.Scoped(t), Options{Executor: "x"})
	require.ErrorContains(t, err, "install nftables")
	require.Equal(t, fault.Operator, fault.ClassOf(err))
	require.NoError(t, os.Setenv("PATH", path))

	onThread(func() {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		require.NoError(t, unix.Capset(&header, &none[0]))
		_, err = New(t.Context(), logtest.Scoped(t), Options{Executor: "x"})
		require.ErrorContains(t, err, "doesn't have CAP_NET_ADMIN")
		require.Equal(t, fault.Operator, fault.ClassOf(err))
		_, err = createTap("x")
		require.ErrorContains(t, err, "CAP_NET_ADMIN")
	})

	refused(Options{Executor: "x", EgressBytes: -1}, "bandwidth")
	for i := range 4 {
		addAddress(t, "lo", fmt.Sprintf("10.99.0.%d/32", 4*i+1))
	}
	refused(Options{Executor: "x", Subnet: netip.MustParsePrefix("10.99.0.0/28")}, "choose another subnet")
}
