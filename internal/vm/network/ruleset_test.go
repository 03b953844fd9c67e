package network

import (
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

func examplePolicy(t *testing.T) (policy, []member) {
	t.Helper()
	rules, err := ParseRules("10.0.0.5:5000 tcp:10.1.0.0/16 udp:10.0.0.6:1000-2000 10.2.0.0/16 tcp:10.3.0.0/16:80 tcp:192.0.2.2:443 fd00::/8")
	require.NoError(t, err)
	p := policy{names: namesOf("host-1"), executor: `host "1"` + "\n\\", subnet: DefaultSubnet, allow: rules, egress: 1_000_000}
	var members []member
	for slot := range 2 {
		gateway, guest := addresses(DefaultSubnet, slot)
		members = append(members, member{tap: p.tap(slot), guest: guest.Addr(), gateway: gateway})
	}
	return p, members
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "run with -update if this is meant")
}

func TestRuleset(t *testing.T) {
	t.Parallel()
	p, members := examplePolicy(t)
	golden(t, "testdata/full.nft", p.ruleset(members))
	bare := policy{names: namesOf("host-1"), executor: "host-1", subnet: DefaultSubnet}
	golden(t, "testdata/bare.nft", bare.ruleset(nil))
	golden(t, "testdata/link.nft", p.admit(members[0])+p.dismiss(members[1]))
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a_b__.c", printable("a\"b\n\\.c"))
	require.Len(t, printable(strings.Repeat("x", 500)), 64)
	require.Equal(t, "__", printable("é€"))
}

func TestBurst(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, 256<<10, burst(1))
	require.EqualValues(t, 524_288_000/20, burst(524_288_000))
	require.EqualValues(t, 256<<20, burst(maxRate))
}

func TestForbiddenLeavesDocumentationAlone(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"192.0.2.1", "198.51.100.1", "203.0.113.1", "1.1.1.1", "172.32.0.1", "100.128.0.1", "11.0.0.1", "223.255.255.255",
	} {
		for _, network := range forbidden {
			require.False(t, netip.MustParsePrefix(network).Contains(netip.MustParseAddr(address)), "%s in %s", address, network)
		}
	}
}

func TestTablesIn(t *testing.T) {
	t.Parallel()
	listed := "table ip nat\ntable inet executor_a\ntable arp executor_a\ntable inet executor_ab\n"
	require.Equal(t, []string{"inet", "arp"}, tablesIn(listed, "executor_a"))
	require.Empty(t, tablesIn(listed, "executor"))
}

func TestBlockedIn(t *testing.T) {
	t.Parallel()
	const docker = `{"chain":{"family":"ip","table":"filter","name":"FORWARD","hook":"forward","policy":"drop"}}`
	const own = `{"chain":{"family":"inet","table":"fw","name":"f","hook":"forward","policy":"drop"}}`
	const remedied = `{"rule":{"family":"inet","table":"fw","expr":[{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"exvm*"}}]}}`
	list := func(objects ...string) []byte {
		return []byte(`{"nftables":[{"metainfo":{"version":"1"}},` + strings.Join(objects, ",") + `]}`)
	}
	found, err := blockedIn(list(docker, own))
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.Contains(t, found[0], "iptables -I FORWARD -i exvm+ -j ACCEPT")
	require.Contains(t, found[1], `nft insert rule inet fw f iifname '"exvm*"' accept`)
	found, err = blockedIn(list(docker, own, remedied))
	require.NoError(t, err)
	require.Len(t, found, 1)
	for _, harmless := range []string{
		`{"chain":{"family":"ip","table":"filter","name":"FORWARD","hook":"forward","policy":"accept"}}`,
		`{"chain":{"family":"ip","table":"filter","name":"INPUT","hook":"input","policy":"drop"}}`, `{"table":{"family":"ip","name":"x"}}`,
	} {
		found, err = blockedIn(list(harmless))
		require.NoError(t, err)
		require.Empty(t, found)
	}
	_, err = blockedIn([]byte("{"))
	require.Error(t, err)
}
