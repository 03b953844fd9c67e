package network

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"github.com/open-executor/executor/internal/fault"
)

// AllowVariable is the environment variable whose text ParseRules reads.
const AllowVariable = "EXECUTOR_VM_EGRESS_ALLOW"

// Rule is a destination that machines may reach though it is not public.
type Rule struct {
	// Protocol is "tcp", "udp", or "" for both, and for ICMP as well when there is no port.
	Protocol string
	// Prefix has no host bits.
	Prefix netip.Prefix
	// First and Last are the ports, both inclusive; both 0 for all.
	First, Last uint16
}

// ParseRules reads rules from a list separated by commas or white space. Each is [tcp:|udp:]ADDRESS[/BITS][:PORT[-PORT]], with brackets
// around an IPv6 address or network that has a port: tcp:10.0.0.5:5000, 10.1.0.0/16, udp:[fd00::/8]:5000-5010. The operator error tells of
// every rule that is wrong, and how.
func ParseRules(text string) ([]Rule, error) {
	var rules []Rule
	var wrong []error
	for _, field := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		rule, err := parseRule(field)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: rule %q: %w", AllowVariable, field, err))
			continue
		}
		rules = append(rules, rule)
	}
	if wrong != nil {
		return nil, fault.As(fault.Operator, errors.Join(wrong...))
	}
	return rules, nil
}

func parseRule(text string) (Rule, error) {
	var rule Rule
	for _, protocol := range []string{"tcp", "udp"} {
		if rest, ok := strings.CutPrefix(text, protocol+":"); ok {
			rule.Protocol, text = protocol, rest
			break
		}
	}
	target, ports, hasPorts, err := splitPorts(text)
	if err != nil {
		return Rule{}, err
	}
	if rule.Prefix, err = parseTarget(target); err != nil {
		return Rule{}, err
	}
	if hasPorts {
		if rule.First, rule.Last, err = parsePorts(ports); err != nil {
			return Rule{}, err
		}
	}
	return rule, nil
}

// splitPorts parts the destination from the ports behind it.
func splitPorts(text string) (target, ports string, hasPorts bool, err error) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		target, rest, closed := strings.Cut(inner, "]")
		if !closed {
			return "", "", false, errors.New(`"]" is missing behind the address`)
		}
		if !strings.Contains(target, ":") {
			return "", "", false, fmt.Errorf("brackets are for IPv6 addresses, and %q is none", target)
		}
		if rest == "" {
			return target, "", false, nil
		}
		ports, ok := strings.CutPrefix(rest, ":")
		if !ok {
			return "", "", false, fmt.Errorf(`%q behind "]": only ":" and a port may follow`, rest)
		}
		return target, ports, true, nil
	}
	if strings.Count(text, ":") > 1 {
		return text, "", false, nil // IPv6 without a port
	}
	target, ports, hasPorts = strings.Cut(text, ":")
	return target, ports, hasPorts, nil
}

func parseTarget(text string) (netip.Prefix, error) {
	address, bits, isPrefix := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(address)
	switch {
	case err != nil && strings.Contains(address, ":"):
		return netip.Prefix{}, fmt.Errorf("%q is no IPv6 address; with a port it is written in brackets, as in [fd00::5]:5000", address)
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is no IP address (names can't be used here, and the only protocols are tcp: and udp:)", address)
	case addr.Zone() != "":
		return netip.Prefix{}, fmt.Errorf("address %q has a zone, which means nothing to a machine", address)
	case addr.Is4In6():
		return netip.Prefix{}, fmt.Errorf("address %q is IPv4 in IPv6: write %s", address, addr.Unmap())
	case !isPrefix:
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("prefix length %q is not a number from 0 to %d", bits, addr.BitLen())
	}
	if masked := prefix.Masked(); masked != prefix {
		return netip.Prefix{}, fmt.Errorf("%s is not the first address of a /%d: write %s for the network, or %s for the address alone",
			addr, prefix.Bits(), masked, addr)
	}
	return prefix, nil
}

func parsePorts(text string) (first, last uint16, err error) {
	low, high, isRange := strings.Cut(text, "-")
	if first, err = parsePort(low); err != nil {
		return 0, 0, err
	}
	if !isRange {
		return first, first, nil
	}
	if last, err = parsePort(high); err != nil {
		return 0, 0, err
	}
	if last < first {
		return 0, 0, fmt.Errorf("ports %s: the second is lower than the first", text)
	}
	return first, last, nil
}

func parsePort(text string) (uint16, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("port %q is not a number from 1 to 65535", text)
	}
	return uint16(port), nil
}

// String writes the rule as ParseRules reads it.
func (r Rule) String() string {
	target := r.Prefix.String()
	if r.Prefix.IsSingleIP() {
		target = r.Prefix.Addr().String()
	}
	if r.Prefix.Addr().Is6() && r.First != 0 {
		target = "[" + target + "]"
	}
	if r.Protocol != "" {
		target = r.Protocol + ":" + target
	}
	if r.First == 0 {
		return target
	}
	return target + ":" + r.ports()
}

func (r Rule) ports() string {
	if r.First == r.Last {
		return strconv.Itoa(int(r.First))
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// opensHost says whether the rule also holds for an address of the host itself: only one that names a single address and its port does, so
// that a wide rule doesn't open the host by accident.
func (r Rule) opensHost() bool { return r.Prefix.IsSingleIP() && r.First != 0 }
