package network

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
)

func TestParseRules(t *testing.T) {
	t.Parallel()
	prefix := netip.MustParsePrefix
	for text, want := range map[string][]Rule{
		"":                       nil,
		" ,\n,":                  nil,
		"10.0.0.5":               {{Prefix: prefix("10.0.0.5/32")}},
		"10.0.0.5/32":            {{Prefix: prefix("10.0.0.5/32")}},
		"10.0.0.5:5000":          {{Prefix: prefix("10.0.0.5/32"), First: 5000, Last: 5000}},
		"tcp:10.0.0.5:5000-5010": {{Protocol: "tcp", Prefix: prefix("10.0.0.5/32"), First: 5000, Last: 5010}},
		"udp:10.0.0.0/8":         {{Protocol: "udp", Prefix: prefix("10.0.0.0/8")}},
		"0.0.0.0/0":              {{Prefix: prefix("0.0.0.0/0")}},
		"fd00::5":                {{Prefix: prefix("fd00::5/128")}},
		"tcp:fd00::/8":           {{Protocol: "tcp", Prefix: prefix("fd00::/8")}},
		"[fd00::5]":              {{Prefix: prefix("fd00::5/128")}},
		"udp:[fd00::/8]:53":      {{Protocol: "udp", Prefix: prefix("fd00::/8"), First: 53, Last: 53}},
		"10.0.0.5:1-65535":       {{Prefix: prefix("10.0.0.5/32"), First: 1, Last: 65535}},
		"10.0.0.5 10.0.0.6,\t::1": {
			{Prefix: prefix("10.0.0.5/32")}, {Prefix: prefix("10.0.0.6/32")}, {Prefix: prefix("::1/128")},
		},
	} {
		rules, err := ParseRules(text)
		require.NoError(t, err, text)
		require.Equal(t, want, rules, text)
	}
}

func TestParseRulesErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"mirror.example:5000":    `rule "mirror.example:5000": "mirror.example" is no IP address (names can't be used here`,
		"icmp:10.0.0.1":          `only protocols are tcp: and udp:`,
		"TCP:10.0.0.1":           `only protocols are tcp: and udp:`,
		"10.0.0.5/8":             "not the first address of a /8: write 10.0.0.0/8 for the network, or 10.0.0.5 for the address alone",
		"10.0.0.0/33":            `prefix length "33" is not a number from 0 to 32`,
		"10.0.0.0/":              `prefix length "" is not`,
		"10.0.0.5:":              `port "" is not a number from 1 to 65535`,
		"10.0.0.5:0":             `port "0" is not`,
		"10.0.0.5:65536":         `port "65536" is not`,
		"10.0.0.5:20-10":         "ports 20-10: the second is lower than the first",
		"10.0.0.5:10-":           `port "" is not`,
		"10.0.0.5:+1":            `port "+1" is not`,
		"[fd00::5":               `"]" is missing`,
		"[fd00::5]5000":          `"5000" behind "]"`,
		"[10.0.0.5]:5000":        "brackets are for IPv6 addresses",
		"fd00::5:5000:x":         "in brackets",
		"fe80::1%eth0":           "has a zone",
		"::ffff:10.0.0.1":        "write 10.0.0.1",
		"10.0.0.1\"; drop":       "is no IP address",
		"10.0.0.5,nowhere,[::1":  `rule "nowhere"`,
		"10.0.0.5,nowhere, [::1": `rule "[::1"`,
	} {
		_, err := ParseRules(text)
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, AllowVariable, text)
		require.Equal(t, fault.Operator, fault.ClassOf(err), text)
	}
}

func FuzzParseRules(f *testing.F) {
	for _, seed := range []string{
		"tcp:10.0.0.5:5000-5010", "[fd00::/8]:1", "10.0.0.0/8 udp:1.2.3.4", "fe80::1%a", "::ffff:1.2.3.4/99", "[]:1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := ParseRules(text)
		if err != nil {
			require.Nil(t, rules)
			return
		}
		for _, rule := range rules {
			require.Equal(t, rule.Prefix.Masked(), rule.Prefix)
			require.LessOrEqual(t, rule.First, rule.Last)
			again, err := ParseRules(rule.String())
			require.NoError(t, err)
			require.Equal(t, []Rule{rule}, again)
		}
	})
}
