package network

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
)

func ports(addresses ...string) []netip.AddrPort {
	var out []netip.AddrPort
	for _, address := range addresses {
		out = append(out, netip.AddrPortFrom(netip.MustParseAddr(address), dnsPort))
	}
	return out
}

func TestParseResolvConf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]netip.AddrPort{
		"": nil,
		"search example\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\n": ports("10.0.0.1", "fe80::1%eth0"),
		"# nameserver 10.0.0.1\n;nameserver 10.0.0.2\n":                  nil,
		"  nameserver\t10.0.0.1   trailing # x":                          ports("10.0.0.1"),
		"nameserver\nnameserver x\nnameservers 10.0.0.1\n":               nil,
		"nameserver ::ffff:10.0.0.1":                                     ports("10.0.0.1"),
		strings.Repeat("nameserver 10.0.0.1\n", 9):                       ports("10.0.0.1", "10.0.0.1", "10.0.0.1"),
		strings.Repeat("x", maxResolvConf):                               nil,
	} {
		require.Equal(t, want, parseResolvConf([]byte(text)))
	}
}

func TestResolversFrom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	missing := filepath.Join(dir, "missing")
	real := write("real", "nameserver 10.0.0.1")
	stub := write("stub", "nameserver 127.0.0.53\nnameserver ::1")
	mixed := write("mixed", "nameserver 127.0.0.1\nnameserver 10.0.0.2")
	empty := write("empty", "options edns0")
	for _, c := range []struct {
		first, behind string
		want          []netip.AddrPort
	}{
		{real, missing, ports("10.0.0.1")},
		{real, stub, ports("10.0.0.1")},
		{stub, real, ports("10.0.0.1")},
		{stub, missing, ports("127.0.0.53", "::1")},
		{stub, empty, ports("127.0.0.53", "::1")},
		{mixed, real, ports("127.0.0.1", "10.0.0.2")},
		{empty, real, ports("10.0.0.1")},
	} {
		found, err := resolversFrom(c.first, c.behind)
		require.NoError(t, err)
		require.Equal(t, c.want, found)
	}
	for _, first := range []string{missing, empty} {
		_, err := resolversFrom(first, missing)
		require.ErrorContains(t, err, first)
		require.Equal(t, fault.Operator, fault.ClassOf(err))
	}
}

func TestRemembered(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	calls := 0
	ask := remembered(func() ([]netip.AddrPort, error) {
		calls++
		if calls == 2 {
			return nil, errors.New("broken")
		}
		return ports("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"), nil
	}, func() time.Time { return now })
	for range 3 {
		found, err := ask()
		require.NoError(t, err)
		require.Len(t, found, maxResolvers)
	}
	require.Equal(t, 1, calls)
	now = now.Add(resolversFor)
	_, err := ask()
	require.Error(t, err)
	now = now.Add(resolversFor)
	_, err = ask()
	require.NoError(t, err)
	require.Equal(t, 3, calls)
}
