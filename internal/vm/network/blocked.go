package network

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

// ForwardingBlocked returns a sentence for each of the host's other firewall tables that lets nothing be forwarded but what it knows, and
// doesn't know machines: their packets to the outside end there, whatever this package's table says. Docker makes such a table. What to do
// about it is in the sentence. Tables made by iptables-legacy are not looked at.
func ForwardingBlocked(ctx context.Context) ([]string, error) {
	listed, err := nftList(ctx, "-j", "list", "ruleset")
	if err != nil {
		return nil, fmt.Errorf("looking for firewall tables that drop what is forwarded: %w", err)
	}
	return blockedIn([]byte(listed))
}

// nftObject is one entry of nft's listing in JSON, as far as it matters here.
type nftObject struct {
	Chain *struct {
		Family, Table, Name, Hook, Policy string
	}
	Rule *struct {
		Family, Table string
		Expr          json.RawMessage
	}
}

func blockedIn(listing []byte) ([]string, error) {
	var document struct{ Nftables []nftObject }
	if err := json.Unmarshal(listing, &document); err != nil {
		return nil, fmt.Errorf("reading nft's listing: %w", err)
	}
	type table struct{ family, name string }
	mentions := map[table]bool{}
	for _, object := range document.Nftables {
		if rule := object.Rule; rule != nil && mentionsTaps(rule.Expr) {
			mentions[table{rule.Family, rule.Table}] = true
		}
	}
	var sentences []string
	for _, object := range document.Nftables {
		chain := object.Chain
		if chain == nil || chain.Hook != "forward" || chain.Policy != "drop" || mentions[table{chain.Family, chain.Table}] {
			continue
		}
		sentences = append(sentences, fmt.Sprintf(
			"nftables table %q (%s) drops what it doesn't know in its chain %s, so machines can't reach the outside; mend it with: %s",
			chain.Table, chain.Family, chain.Name, remedy(chain.Family, chain.Table, chain.Name)))
	}
	return sentences, nil
}

func remedy(family, table, chain string) string {
	if family == "ip" && table == "filter" && chain == "FORWARD" { // iptables-nft, Docker's among them
		return "iptables -I FORWARD -i " + tapPrefix + "+ -j ACCEPT; iptables -I FORWARD -o " + tapPrefix + "+ -j ACCEPT"
	}
	where := fmt.Sprintf("nft insert rule %s %s %s", family, table, chain)
	return fmt.Sprintf(`%s iifname '"%s*"' accept; %[1]s oifname '"%[2]s*"' accept`, where, tapPrefix)
}

// mentionsTaps says whether a rule's expressions name the taps, all of them or some.
func mentionsTaps(expressions []byte) bool { return bytes.Contains(expressions, []byte(`"`+tapPrefix)) }
