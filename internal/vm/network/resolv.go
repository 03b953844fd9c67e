package network

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/open-executor/executor/internal/fault"
)

const (
	dnsPort = 53
	// maxResolvers is how many are asked in turn; the C library takes as many from resolv.conf.
	maxResolvers = 3
	// maxResolvConf is how much of a resolv.conf is read, in bytes.
	maxResolvConf = 64 << 10
	// resolversFor is how long what Resolvers told is used.
	resolversFor = 5 * time.Second
)

// hostResolvers are the resolvers of the host.
func hostResolvers() ([]netip.AddrPort, error) {
	return resolversFrom("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
}

// resolversFrom reads the first file. When that names loopback addresses only, such as systemd's stub, the second file tells what stands
// behind it; without that file the loopback ones are right, since the relay runs on the host.
func resolversFrom(first, behind string) ([]netip.AddrPort, error) {
	found, err := readResolvConf(first)
	if err != nil {
		return nil, fault.Operatorf("where the host asks DNS: %w", err)
	}
	for _, resolver := range found {
		if !resolver.Addr().IsLoopback() {
			return found, nil
		}
	}
	if upstream, err := readResolvConf(behind); err == nil && len(upstream) > 0 {
		return upstream, nil
	}
	if len(found) == 0 {
		return nil, fault.Operatorf("%s names no resolver: a line such as \"nameserver ADDRESS\" is missing", first)
	}
	return found, nil
}

func readResolvConf(path string) ([]netip.AddrPort, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxResolvConf))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return parseResolvConf(text), nil
}

// parseResolvConf returns the addresses of the nameserver lines, at most maxResolvers. As the C library does, it passes over what it
// doesn't understand.
func parseResolvConf(text []byte) []netip.AddrPort {
	var found []netip.AddrPort
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxResolvConf+1)
	for lines.Scan() && len(found) < maxResolvers {
		line := lines.Text()
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = line[:i]
		}
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if addr, err := netip.ParseAddr(fields[1]); err == nil {
			found = append(found, netip.AddrPortFrom(addr.Unmap(), dnsPort))
		}
	}
	return found
}

// remembered calls the function at most once in resolversFor, since each of a machine's queries asks, and a machine asks as often as it
// likes. An error is remembered as well.
func remembered(resolvers func() ([]netip.AddrPort, error), now func() time.Time) func() ([]netip.AddrPort, error) {
	var mu sync.Mutex
	var until time.Time
	var found []netip.AddrPort
	var failed error
	return func() ([]netip.AddrPort, error) {
		mu.Lock()
		defer mu.Unlock()
		if at := now(); !at.Before(until) {
			found, failed = resolvers()
			until = at.Add(resolversFor)
			if len(found) > maxResolvers {
				found = found[:maxResolvers]
			}
		}
		return found, failed
	}
}
