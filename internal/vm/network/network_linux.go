package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/log"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/fault"
)

var errClosed = errors.New("the machines' network is closed")

// Network is an executor's policy and the links of its machines. Safe for concurrent use.
type Network struct {
	logger  log.Logger
	options Options
	policy  policy
	// resolvers is Options.Resolvers, asked once in a while.
	resolvers func() ([]netip.AddrPort, error)

	// changing is held while the kernel's tables are changed, so that they and links agree.
	changing sync.Mutex
	// mu guards what follows; it is never held while waiting.
	mu     sync.Mutex
	closed bool
	next   int
	links  map[int]*Link // by slot; nil while one is being made or could not be taken away
	making sync.WaitGroup
}

// New makes the executor's nftables tables, and turns the host's IPv4 forwarding on. Operator errors say what is missing on the host.
func New(ctx context.Context, logger log.Logger, options Options) (*Network, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	if err := Allowed(); err != nil {
		return nil, err
	}
	names := namesOf(options.Executor)
	n := &Network{
		logger:  logger.Scoped("network"),
		options: options,
		policy: policy{
			names: names, executor: options.Executor, subnet: options.Subnet, allow: options.Allow, egress: options.EgressBytes,
		},
		resolvers: remembered(options.Resolvers, time.Now),
		links:     map[int]*Link{},
	}
	present, err := presentTables(ctx, names.table)
	if err != nil {
		return nil, err
	}
	if len(present) > 0 {
		return nil, fmt.Errorf("nftables table %s, this executor's, is there already", names.table)
	}
	if err := n.probe(ctx); err != nil {
		return nil, err
	}
	if _, err := nft(ctx, n.policy.ruleset(nil)); err != nil {
		return nil, fmt.Errorf("making the machines' egress policy: %w", err)
	}
	changed, err := enableForwarding()
	if err != nil {
		return nil, errors.Join(err, n.dropTables(context.WithoutCancel(ctx)))
	}
	if changed {
		n.logger.Info("turned on net.ipv4.ip_forward, by which machines reach the outside; it stays on")
	}
	n.warn(ctx)
	return n, nil
}

// Allowed tells by an operator error that this process may not make networks.
func Allowed() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("looking at the executor's capabilities: %w", err)
	}
	if data[0].Effective&(1<<unix.CAP_NET_ADMIN) == 0 {
		return fault.Operatorf("networks of machines need root, or CAP_NET_ADMIN and CAP_NET_BIND_SERVICE; " +
			"this process doesn't have CAP_NET_ADMIN")
	}
	return nil
}

// probe finds out now, and not with the first machine, that a tap can be made and that there is room for it.
func (n *Network) probe(ctx context.Context) error {
	place, err := n.reserve(ctx)
	if err != nil {
		return err
	}
	defer n.release(place.slot)
	defer place.close()
	tap, err := createTap(n.policy.tap(place.slot))
	if err != nil {
		return err
	}
	return tap.Close()
}

func (n *Network) warn(ctx context.Context) {
	for _, rule := range n.options.Allow {
		switch {
		case !rule.Prefix.Addr().Is4():
			n.logger.Warn("machines have no IPv6, so this rule has no effect",
				log.String("variable", AllowVariable), log.String("rule", rule.String()))
		case rule.Prefix.Contains(netip.AddrFrom4([4]byte{169, 254, 169, 254})):
			n.logger.Warn("this rule lets jobs reach the cloud's metadata address, which may hand out the host's credentials",
				log.String("variable", AllowVariable), log.String("rule", rule.String()))
		}
	}
	sentences, err := ForwardingBlocked(ctx)
	if err != nil {
		n.logger.Warn("other firewall tables could not be read", log.Error(err))
	}
	for _, sentence := range sentences {
		n.logger.Warn(sentence)
	}
}

// Verify puts the tables back if they are gone, as they are after "nft flush ruleset" of a firewall that was restarted, and says whether
// they were. Until then machines that run are not held by the policy: call it once in a while. Attach does so as well.
func (n *Network) Verify(ctx context.Context) (mended bool, err error) {
	n.changing.Lock()
	defer n.changing.Unlock()
	if n.isClosed() {
		return false, errClosed
	}
	present, err := presentTables(ctx, n.policy.table)
	if err != nil || len(present) == 2 {
		return false, err
	}
	if err := n.restore(ctx, log.String("table", n.policy.table)); err != nil {
		return false, fmt.Errorf("putting the machines' egress policy back: %w", err)
	}
	return true, nil
}

// restore makes the tables anew, for the links that there are, and says so. The caller holds changing.
func (n *Network) restore(ctx context.Context, why log.Field) error {
	if _, err := nft(ctx, n.policy.ruleset(n.members())); err != nil {
		return err
	}
	n.logger.Warn("the machines' egress policy was gone and is back; who flushes nftables here?", why)
	return nil
}

func (n *Network) isClosed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.closed
}

func (n *Network) members() []member {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []member
	for _, link := range n.links {
		if link != nil {
			out = append(out, link.member())
		}
	}
	slices.SortFunc(out, func(a, b member) int { return strings.Compare(a.tap, b.tap) })
	return out
}

// Close closes all links and removes the tables. It may be called more than once.
func (n *Network) Close(ctx context.Context) error {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.making.Wait() // what is being made gives up, within the bounds of its steps
	n.mu.Lock()
	var links []*Link
	for _, link := range n.links {
		if link != nil {
			links = append(links, link)
		}
	}
	n.mu.Unlock()
	var failed []error
	for _, link := range links {
		failed = append(failed, link.Close())
	}
	n.changing.Lock()
	defer n.changing.Unlock()
	return errors.Join(append(failed, n.dropTables(ctx))...)
}

func (n *Network) dropTables(ctx context.Context) error {
	_, err := dropTables(ctx, n.policy.names)
	return err
}

func dropTables(ctx context.Context, names names) (int, error) {
	present, err := presentTables(ctx, names.table)
	if err != nil || len(present) == 0 {
		return 0, err
	}
	var script strings.Builder
	for _, family := range present {
		fmt.Fprintf(&script, "delete table %s %s\n", family, names.table)
	}
	if _, err := nft(ctx, script.String()); err != nil {
		return 0, fmt.Errorf("removing nftables table %s: %w", names.table, err)
	}
	return len(present), nil
}

// Remove takes away what an executor that is dead left behind: first its taps, then its tables, so that no machine is ever without policy.
// It returns how many things it removed; where there is nothing, that is 0. The executor must not be alive.
func Remove(ctx context.Context, executor string) (int, error) {
	names := namesOf(executor)
	devices, err := netlink.LinkList()
	if err != nil {
		return 0, fmt.Errorf("looking for taps of executor %s: %w", executor, err)
	}
	removed := 0
	var failed []error
	for _, device := range devices {
		if _, isTap := device.(*netlink.Tuntap); !isTap || !names.owns(device.Attrs().Name) {
			continue
		}
		switch err := netlink.LinkDel(device); {
		case err == nil:
			removed++
		case !errors.Is(err, unix.ENODEV):
			failed = append(failed, fmt.Errorf("removing tap %s: %w", device.Attrs().Name, err))
		}
	}
	if failed != nil {
		return removed, errors.Join(failed...)
	}
	tables, err := dropTables(ctx, names)
	return removed + tables, err
}
