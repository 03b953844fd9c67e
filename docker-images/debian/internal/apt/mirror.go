package apt

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/open-executor/executor/docker-images/debian/internal/lockfile"
)

// MirrorVariable names a mirror by hand. extension.bzl knows it too.
const MirrorVariable = "EXECUTOR_DEBIAN_MIRROR"

// Mirror holds the addresses of Debian's two archives, without a slash at their ends.
type Mirror struct{ Main, Security string }

// FindMirror returns the mirror that override names or, where that is empty, the one of the machine's apt.
func FindMirror(ctx context.Context, run Runner, override string) (Mirror, error) {
	if override != "" {
		return mirrorAt(override)
	}
	// What an update would fetch. Unlike apt-get indextargets, this is told before there was one.
	out, err := run(ctx, nil, "apt-get", "update", "--print-uris")
	if err != nil {
		return Mirror{}, fmt.Errorf("finding the machine's Debian mirror: %w", err)
	}
	return mirrorAmong(out)
}

// mirrorAmong picks Debian's archives from the addresses that apt would ask, one a line:
//
//	'http://mirror.example.com/debian/dists/bookworm/InRelease' mirror.example.com_debian_dists_bookworm_InRelease 0
//
// The security archive has one of its own name on every mirror.
func mirrorAmong(uris string) (Mirror, error) {
	var found Mirror
	for line := range strings.Lines(uris) {
		address, _, is := strings.Cut(strings.TrimLeft(line, "'"), "/dists/")
		switch {
		case !is:
		case found.Main == "" && strings.HasSuffix(address, "/debian"):
			found.Main = address
		case found.Security == "" && strings.HasSuffix(address, "/debian-security"):
			found.Security = address
		}
	}
	if found.Main == "" {
		return found, fmt.Errorf("none of apt's sources is a Debian mirror (their addresses end in /debian): set %s to the address "+
			"of one", MirrorVariable)
	}
	if found.Security == "" {
		found.Security = found.Main + "-security"
	}
	return found, nil
}

// mirrorAt is the mirror whose main archive has this address. That of the security archive differs in the part named debian, which is not
// the last one where the archive is that of a day: https://archive.example.com/archive/debian/20261125T000000Z.
func mirrorAt(address string) (Mirror, error) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme == "" || parsed.RawQuery != "" || parsed.Fragment != "" || strings.ContainsAny(address, " \"'\\[]") {
		return Mirror{}, fmt.Errorf("%s is %q: want the address of a Debian mirror, such as https://mirror.example.com/debian", MirrorVariable, address)
	}
	parts := strings.Split(strings.TrimRight(address, "/"), "/")
	main := strings.Join(parts, "/")
	last := len(parts) - 1 - slices.Index(reversed(parts), "debian")
	if last == len(parts) {
		return Mirror{}, fmt.Errorf("%s is %q: a part of its path must be debian; in its place debian-security is where the security archive is",
			MirrorVariable, address)
	}
	parts[last] = "debian-security"
	return Mirror{Main: main, Security: strings.Join(parts, "/")}, nil
}

func reversed(parts []string) []string {
	backward := slices.Clone(parts)
	slices.Reverse(backward)
	return backward
}

// URL is where a package lies. Plus signs are escaped as apt does it: some servers take them for blanks.
func (m Mirror) URL(p lockfile.Package) string {
	archive := m.Main
	if p.Archive == lockfile.Security {
		archive = m.Security
	}
	return archive + "/" + strings.ReplaceAll(p.Path, "+", "%2b")
}
