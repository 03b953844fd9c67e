package network

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	subnet := netip.MustParsePrefix("10.61.0.0/16")
	require.Equal(t, 16384, slots(subnet))
	for slot, want := range map[int][2]string{
		0: {"10.61.0.1", "10.61.0.2/30"}, 1: {"10.61.0.5", "10.61.0.6/30"}, 16383: {"10.61.255.253", "10.61.255.254/30"},
	} {
		gateway, guest := addresses(subnet, slot)
		require.Equal(t, want, [2]string{gateway.String(), guest.String()})
	}
	require.Equal(t, 1, slots(netip.MustParsePrefix("192.168.7.4/30")))
	require.Equal(t, maxSlots, slots(netip.MustParsePrefix("10.0.0.0/8")))
}

func TestInTheWay(t *testing.T) {
	t.Parallel()
	routes := []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.61.4.0/24"),
		netip.MustParsePrefix("10.62.0.0/16"), netip.MustParsePrefix("10.61.9.1/32"),
	}
	found := inTheWay(DefaultSubnet, routes)
	require.Equal(t, []netip.Prefix{routes[2], routes[4]}, found)
	require.True(t, overlaps(netip.MustParsePrefix("10.61.9.0/30"), found))
	require.False(t, overlaps(netip.MustParsePrefix("10.61.9.4/30"), found))
	require.Len(t, inTheWay(DefaultSubnet, []netip.Prefix{DefaultSubnet}), 1)
}

func TestNames(t *testing.T) {
	t.Parallel()
	names, other := namesOf("host-1"), namesOf("host-2")
	require.NotEqual(t, names.table, other.table)
	require.Len(t, names.tap(maxSlots-1), 15) // IFNAMSIZ less its NUL
	require.True(t, names.owns(names.tap(7)))
	for _, device := range []string{"lo", names.taps, names.taps + "x", names.taps + "07", names.taps + "99999", other.tap(7)} {
		require.False(t, names.owns(device), device)
	}
	guest, host := names.macs(0x1234)
	require.Equal(t, []byte{0x12, 0x34}, []byte(guest[4:]))
	require.NotEqual(t, guest, host)
	for _, mac := range [][]byte{guest, host} {
		require.Equal(t, byte(2), mac[0]&3, "locally administered, one device's")
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	complete, err := Options{Executor: "a"}.complete()
	require.NoError(t, err)
	require.Equal(t, DefaultSubnet, complete.Subnet)
	require.NotNil(t, complete.Resolvers)
	for name, options := range map[string]Options{
		"no name":   {},
		"IPv6":      {Executor: "a", Subnet: netip.MustParsePrefix("fd00::/16")},
		"small":     {Executor: "a", Subnet: netip.MustParsePrefix("10.0.0.0/31")},
		"host bits": {Executor: "a", Subnet: netip.MustParsePrefix("10.0.0.1/16")},
		"negative":  {Executor: "a", IngressBytes: -1},
		"too fast":  {Executor: "a", EgressBytes: maxRate + 1},
	} {
		_, err := options.complete()
		require.Equal(t, fault.Operator, fault.ClassOf(err), name)
		require.Error(t, err, name)
	}
}
