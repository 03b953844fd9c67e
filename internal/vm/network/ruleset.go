package network

import (
	"fmt"
	"net/netip"
	"strings"
)

// forbidden are the IPv4 ranges that are not public: this host, private, shared (CGNAT), loopback, link-local with the clouds' metadata,
// protocol assignments, benchmarks, multicast, reserved and broadcast.
var forbidden = []string{
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16",
	"198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
}

// maxRate is the highest limit in bytes per second: what the kernel's arithmetic has room for.
const maxRate = 8 << 30

// member is a link's place in the policy.
type member struct {
	tap            string
	guest, gateway netip.Addr
}

// policy is what the tables are made from.
type policy struct {
	names
	executor string
	subnet   netip.Prefix
	allow    []Rule
	egress   int64
}

// ruleset is the text of both tables for nft, as one transaction that replaces those that are there, if any.
//
// A verdict of drop is final in nftables, whatever tables of others say, and one of accept is not: so these chains say what is dropped, and
// it doesn't matter where in the order of tables they stand. Packets from a machine are looked at three times: as they come, because
// another table may turn their destination into something else; as they are delivered to the host; and as they are forwarded.
func (p policy) ruleset(members []member) string {
	var b strings.Builder
	for _, family := range []string{"inet", "arp"} {
		fmt.Fprintf(&b, "add table %s %s\ndelete table %[1]s %[2]s\n", family, p.table)
	}
	p.inet(&b, members)
	p.arp(&b, members)
	return b.String()
}

func (p policy) inet(b *strings.Builder, members []member) {
	fmt.Fprintf(b, `table inet %s {
	comment "microVMs of executor %s"
	set guests {
		type ifname . ipv4_addr
%s	}
	set gateways {
		type ifname . ipv4_addr
%s	}
	set forbidden {
		type ipv4_addr
		flags interval
		elements = { %s }
	}
	set rates {
		type ifname
		size 65535
		flags dynamic,timeout
		timeout 1m
	}
	chain prerouting {
		type filter hook prerouting priority raw; policy accept;
		iifname "%[6]s*" jump from_guest
	}
	chain from_guest {
%[7]s		meta nfproto != ipv4 drop
		iifname . ip saddr != @guests drop
		meta l4proto != { tcp, udp, icmp } drop
		fib daddr type local jump to_host
		jump egress
	}
	chain to_host {
		iifname . ip daddr @gateways udp dport 53 accept
		iifname . ip daddr @gateways tcp dport 53 accept
%[8]s		drop
	}
	chain egress {
		fib daddr type != unicast drop
		ip daddr %[9]s drop
%[10]s		ip daddr @forbidden drop
		accept
	}
	chain input {
		type filter hook input priority filter - 10; policy accept;
		iifname "%[6]s*" jump to_host
	}
	chain forward {
		type filter hook forward priority filter - 10; policy accept;
		iifname "%[6]s*" jump onward
		oifname "%[6]s*" jump to_guest
	}
	chain onward {
		meta nfproto != ipv4 drop
		oifname "%[11]s*" drop
		ct state invalid,untracked drop
		jump egress
	}
	chain output {
		type filter hook output priority filter - 10; policy accept;
		oifname "%[6]s*" icmp type { destination-unreachable, time-exceeded, parameter-problem } accept
		oifname "%[6]s*" jump to_guest
	}
	chain to_guest {
		meta nfproto ipv4 ct state established,related accept
		drop
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr %[9]s oifname != "%[11]s*" masquerade
	}
}
`,
		p.table, printable(p.executor),
		elements(members, func(m member) netip.Addr { return m.guest }),
		elements(members, func(m member) netip.Addr { return m.gateway }),
		strings.Join(forbidden, ", "), p.taps, p.limit(), p.allowed(true), p.subnet, p.allowed(false), tapPrefix)
}

// arp keeps a machine from filling the host's table of neighbours with others than itself.
func (p policy) arp(b *strings.Builder, members []member) {
	fmt.Fprintf(b, `table arp %s {
	set guests {
		type ifname . ipv4_addr
%s	}
	chain input {
		type filter hook input priority filter; policy accept;
		iifname "%s*" iifname . arp saddr ip != @guests drop
	}
}
`, p.table, elements(members, func(m member) netip.Addr { return m.guest }), p.taps)
}

func (p policy) limit() string {
	if p.egress == 0 {
		return ""
	}
	return fmt.Sprintf("\t\tupdate @rates { iifname limit rate over %d bytes/second burst %d bytes } drop\n", p.egress, burst(p.egress))
}

// allowed renders the rules, for the host itself or for destinations behind it. Machines have no IPv6, so its rules have no effect.
func (p policy) allowed(host bool) string {
	var b strings.Builder
	for _, rule := range p.allow {
		if !rule.Prefix.Addr().Is4() || host && !rule.opensHost() {
			continue
		}
		protocol := rule.Protocol
		if protocol == "" {
			protocol = "{ tcp, udp }"
		}
		fmt.Fprintf(&b, "\t\tip daddr %s", rule.Prefix)
		switch {
		case rule.First != 0:
			fmt.Fprintf(&b, " meta l4proto %s th dport %s", protocol, rule.ports())
		case rule.Protocol != "":
			fmt.Fprintf(&b, " meta l4proto %s", protocol)
		}
		b.WriteString(" accept\n")
	}
	return b.String()
}

func elements(members []member, address func(member) netip.Addr) string {
	if len(members) == 0 {
		return ""
	}
	list := make([]string, len(members))
	for i, m := range members {
		list[i] = fmt.Sprintf("%q . %s", m.tap, address(m))
	}
	return "\t\telements = { " + strings.Join(list, ", ") + " }\n"
}

// admit adds a link to the tables.
func (p policy) admit(m member) string { return p.change("add", m) }

// dismiss takes a link out of them, whether it is in or not.
func (p policy) dismiss(m member) string { return p.change("add", m) + p.change("delete", m) }

func (p policy) change(verb string, m member) string {
	return fmt.Sprintf(`%s element inet %s guests { "%s" . %s }
%[1]s element inet %[2]s gateways { "%[3]s" . %[5]s }
%[1]s element arp %[2]s guests { "%[3]s" . %[4]s }
`, verb, p.table, m.tap, m.guest, m.gateway)
}

// burst is how many bytes may pass at once under a limit: 50 ms of it, so that TCP comes up to the rate, and some whole packets at least.
func burst(rate int64) int64 { return min(max(rate/20, 256<<10), 256<<20) }

// printable makes a name fit for an nft comment, which is at most 128 bytes between quotation marks.
func printable(name string) string {
	kept := strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '"' && r != '\\' {
			return r
		}
		return '_'
	}, name)
	return kept[:min(len(kept), 64)]
}
