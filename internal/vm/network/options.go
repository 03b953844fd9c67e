package network

import (
	"net/netip"

	"github.com/open-executor/executor/internal/fault"
)

// DefaultSubnet is where machines get their addresses from unless an operator says otherwise.
var DefaultSubnet = netip.MustParsePrefix("10.61.0.0/16")

// Options say what New makes.
type Options struct {
	// Executor is the executor's name. Its hash names the table and the taps, and Remove finds them by it.
	Executor string
	// Subnet is an IPv4 network of /30 or wider, cut into a /30 per machine; the zero value means DefaultSubnet. Executors on one host may
	// share one.
	Subnet netip.Prefix
	// Allow are destinations that machines may reach though they are not public.
	Allow []Rule
	// IngressBytes and EgressBytes limit what each machine receives and sends, in bytes per second, headers included; 0 means no limit.
	// What a machine receives too fast waits for 50 ms at most; what it sends too fast is dropped, so its TCP slows down.
	IngressBytes, EgressBytes int64
	// Resolvers tells where to send DNS queries, in the order in which to try; nil means as the host does. Safe for concurrent use.
	Resolvers func() ([]netip.AddrPort, error)
	// Persistent makes taps that stay without an open file until Link.Close or Remove, for monitors that open them by name. They belong to
	// root until Link.SetOwner.
	Persistent bool
}

// complete checks the options and fills in what is not given.
func (o Options) complete() (Options, error) {
	if o.Executor == "" {
		return o, fault.Operatorf("the machines' network needs the executor's name")
	}
	if !o.Subnet.IsValid() {
		o.Subnet = DefaultSubnet
	}
	if !o.Subnet.Addr().Is4() || o.Subnet.Bits() > linkBits || o.Subnet != o.Subnet.Masked() {
		return o, fault.Operatorf("subnet %s for machines: it has to be an IPv4 network of /%d or wider, such as %s",
			o.Subnet, linkBits, DefaultSubnet)
	}
	for _, limit := range []int64{o.IngressBytes, o.EgressBytes} {
		if limit < 0 || limit > maxRate {
			return o, fault.Operatorf("bandwidth of machines of %d bytes per second: it has to be between 0 (no limit) and %d", limit, maxRate)
		}
	}
	if o.Resolvers == nil {
		o.Resolvers = hostResolvers
	}
	return o, nil
}
