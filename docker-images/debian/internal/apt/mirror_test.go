package apt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/docker-images/debian/internal/lockfile"
)

// uris is what apt-get update --print-uris says of sources at the addresses.
func uris(addresses []string) string {
	var out strings.Builder
	for _, address := range addresses {
		fmt.Fprintf(&out, "'%s/dists/bookworm/InRelease' name_of_a_file 0 \n", address)
	}
	return out.String()
}

func TestMirrorOfTheMachine(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		addresses []string
		want      Mirror
	}{
		"Debian's own": {
			[]string{"https://packages.example.com/apt", "http://mirror.example.com/debian", "http://mirror.example.com/debian-security"},
			Mirror{"http://mirror.example.com/debian", "http://mirror.example.com/debian-security"},
		},
		"security elsewhere": {
			[]string{"http://security.example.com/debian-security", "http://ftp.example.org/pub/debian"},
			Mirror{"http://ftp.example.org/pub/debian", "http://security.example.com/debian-security"},
		},
		"no security": {
			[]string{"file:///srv/mirror/debian"}, Mirror{"file:///srv/mirror/debian", "file:///srv/mirror/debian-security"},
		},
	}
	for name, test := range tests {
		got, err := mirrorAmong(uris(test.addresses))
		require.NoError(t, err, name)
		require.Equal(t, test.want, got, name)
	}
	_, err := mirrorAmong(uris([]string{"http://archive.example.com/ubuntu"}))
	require.ErrorContains(t, err, "none of apt's sources is a Debian mirror")
	require.ErrorContains(t, err, MirrorVariable)
}

func TestMirrorByHand(t *testing.T) {
	t.Parallel()
	for address, security := range map[string]string{
		"https://mirror.example.com/debian":                              "https://mirror.example.com/debian-security",
		"https://mirror.example.com/debian/":                             "https://mirror.example.com/debian-security",
		"https://archive.example.com/archive/debian/20261125T000000Z/":   "https://archive.example.com/archive/debian-security/20261125T000000Z",
		"https://mirror.example.com/debian/archive/debian/20261125/pool": "https://mirror.example.com/debian/archive/debian-security/20261125/pool",
	} {
		never := func(context.Context, []string, string, ...string) (string, error) { return "", errors.New("not asked") }
		got, err := FindMirror(t.Context(), never, address)
		require.NoError(t, err)
		require.Equal(t, security, got.Security)
	}
	for _, address := range []string{"mirror.example.com/debian", "https://example.com/ubuntu", "https://x/debian?y", "https://x/debian [trusted=yes]", "https://x/\"debian"} {
		_, err := mirrorAt(address)
		require.ErrorContains(t, err, MirrorVariable, address)
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	mirror := Mirror{"http://m/debian", "http://m/debian-security"}
	require.Equal(t, "http://m/debian/pool/main/g/git/git_2.39.5-0%2bdeb12u3_amd64.deb",
		mirror.URL(lockfile.Package{Archive: lockfile.Main, Path: "pool/main/g/git/git_2.39.5-0+deb12u3_amd64.deb"}))
	require.Equal(t, "http://m/debian-security/pool/updates/main/x.deb",
		mirror.URL(lockfile.Package{Archive: lockfile.Security, Path: "pool/updates/main/x.deb"}))
}
