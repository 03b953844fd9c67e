package rootfs

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/docker-images/debian/internal/deb/debtest"
	"github.com/open-executor/executor/docker-images/debian/internal/definition"
)

func TestMergedUsr(t *testing.T) {
	t.Parallel()
	entries := made(t, layer(t,
		with("bash", debtest.Dir("bin", 0o755), debtest.File("bin/bash", 0o755, "bash"), debtest.Hardlink("bin/rbash", "bin/bash"),
			debtest.Dir("lib64", 0o755), debtest.Symlink("lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")),
		with("git", debtest.Dir("usr", 0o755), debtest.Dir("usr/bin", 0o755), debtest.File("usr/bin/git", 0o755, "git")),
	))
	for name, target := range map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"} {
		require.EqualValues(t, tar.TypeSymlink, entries[name].Typeflag, name)
		require.Equal(t, target, entries[name].Linkname)
	}
	require.Equal(t, "bash", entries["usr/bin/bash"].body)
	require.EqualValues(t, tar.TypeLink, entries["usr/bin/rbash"].Typeflag)
	require.Equal(t, "usr/bin/bash", entries["usr/bin/rbash"].Linkname)
	require.Equal(t, "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", entries["usr/lib64/ld-linux-x86-64.so.2"].Linkname)
	require.Contains(t, entries, "usr/bin/git")
	require.EqualValues(t, tar.TypeDir, entries["usr/lib64"].Typeflag)
}

func TestDocumentationIsLeftOutAndCopyrightKept(t *testing.T) {
	t.Parallel()
	entries := made(t, layer(t,
		with("git",
			debtest.Dir("usr/share/doc/git", 0o755), debtest.File("usr/share/doc/git/copyright", 0o644, "GPL-2"),
			debtest.File("usr/share/doc/git/README", 0o644, "x"), debtest.File("usr/share/doc/git/contrib/copyright", 0o644, "x"),
			debtest.Dir("usr/share/man", 0o755), debtest.Dir("usr/share/man/man1", 0o755), debtest.File("usr/share/man/man1/git.1.gz", 0o644, "x")),
		with("libgcc-s1", debtest.Symlink("usr/share/doc/libgcc-s1", "gcc-12-base")),
	))
	require.Equal(t, "GPL-2", entries["usr/share/doc/git/copyright"].body)
	require.EqualValues(t, 0o755, entries["usr/share/doc/git"].Mode)
	require.Equal(t, "gcc-12-base", entries["usr/share/doc/libgcc-s1"].Linkname)
	for _, name := range []string{"usr/share/doc/git/README", "usr/share/doc/git/contrib", "usr/share/man", "usr/share/man/man1"} {
		require.NotContains(t, entries, name)
	}
}

func TestOnlySomePathsOfAPackage(t *testing.T) {
	t.Parallel()
	docker := debtest.Package{
		Name: "docker.io", ControlFiles: map[string]string{
			"postinst": "addgroup docker",
			"md5sums":  "00  usr/bin/docker\n11  usr/sbin/dockerd\n22  usr/share/doc/docker.io/copyright\n",
		},
		Data: []debtest.Entry{
			debtest.Dir("usr", 0o755), debtest.Dir("usr/bin", 0o755), debtest.File("usr/bin/docker", 0o755, "client"),
			debtest.File("usr/bin/dockerish", 0o755, "x"), debtest.File("usr/sbin/dockerd", 0o755, "daemon"),
			debtest.Hardlink("usr/libexec/docker", "usr/sbin/dockerd"),
			debtest.File("usr/share/doc/docker.io/copyright", 0o644, "Apache-2.0"),
		},
	}
	set := definition.Set{Only: []string{"usr/bin/docker", "usr/libexec/"}}
	entries := made(t, Layer{Set: set, Packages: read(t, docker)})
	require.Equal(t, "client", entries["usr/bin/docker"].body)
	require.Equal(t, "daemon", entries["usr/libexec/docker"].body, "the file that it links to is left out")
	require.NotContains(t, entries, "usr/bin/dockerish")
	require.NotContains(t, entries, "usr/sbin/dockerd")
	require.Contains(t, entries, "usr/share/doc/docker.io/copyright")
	require.Equal(t, "00  usr/bin/docker\n22  usr/share/doc/docker.io/copyright\n", entries["var/lib/dpkg/status.d/docker.io.md5sums"].body)

	for _, set := range []definition.Set{{Only: []string{"usr/bin/podman"}}, {Drop: []string{"usr/bin/docker", "usr/bin/podman"}}} {
		_, err := build(t, Layer{Set: set, Packages: read(t, docker)})
		require.ErrorContains(t, err, "no package of the set has usr/bin/podman")
	}
}

func TestNoSetuidUnlessListed(t *testing.T) {
	t.Parallel()
	mount := with("mount",
		debtest.File("bin/mount", 0o4755, "m"), debtest.File("bin/umount", 0o4755, "u"), debtest.File("usr/bin/wall", 0o2755, "w"),
		debtest.Hardlink("usr/bin/mount2", "bin/umount"), debtest.Dir("var/mail", 0o2775), debtest.Dir("tmp", 0o1777))
	entries := made(t, Layer{Set: definition.Set{Setuid: []string{"usr/bin/mount"}}, Packages: read(t, mount)})
	for name, mode := range map[string]int64{
		"usr/bin/mount": 0o4755, "usr/bin/umount": 0o755, "usr/bin/mount2": 0o755, "usr/bin/wall": 0o755, "var/mail": 0o2775, "tmp": 0o1777,
	} {
		require.Equal(t, mode, entries[name].Mode, name)
	}
	_, err := build(t, Layer{Set: definition.Set{Setuid: []string{"usr/bin/su"}}, Packages: read(t, mount)})
	require.ErrorContains(t, err, "no package of the set has usr/bin/su")
}

func TestLargeFilesThatAreTheSameBecomeOne(t *testing.T) {
	t.Parallel()
	program, other := strings.Repeat("git", worthSharing), strings.Repeat("tig", worthSharing)
	entries := made(t, layer(t,
		with("git", debtest.File("usr/lib/git-core/git", 0o755, program), debtest.File("usr/bin/git", 0o755, program),
			debtest.File("usr/bin/other", 0o755, other), debtest.File("usr/bin/unlike", 0o700, program),
			debtest.File("usr/bin/small", 0o755, "x"), debtest.File("usr/bin/small2", 0o755, "x")),
		with("tig", debtest.File("usr/bin/tig", 0o755, program)),
	))
	require.Equal(t, program, entries["usr/bin/git"].body)
	require.Equal(t, "usr/bin/git", entries["usr/lib/git-core/git"].Linkname)
	for _, name := range []string{"other", "unlike", "small", "small2", "tig"} {
		require.EqualValues(t, tar.TypeReg, entries["usr/bin/"+name].Typeflag, name)
	}
}

func TestALayerHoldsOnlyWhatItAdds(t *testing.T) {
	t.Parallel()
	base := layer(t, with("base-files2", debtest.Dir("usr", 0o755), debtest.Dir("usr/bin", 0o755), debtest.File("usr/bin/sh", 0o755, "sh")))
	git := layer(t, with("git", debtest.Dir("usr", 0o755), debtest.Dir("usr/bin", 0o755), debtest.File("usr/bin/git", 0o755, "git"),
		debtest.Dir("usr/lib", 0o755), debtest.Dir("usr/lib/git-core", 0o755), debtest.Symlink("usr/lib/git-core/git", "../../bin/git")))
	entries := made(t, base, git)
	var names []string
	for name := range entries {
		names = append(names, name)
	}
	require.ElementsMatch(t, []string{
		"usr/bin/git", "usr/lib", "usr/lib/git-core", "usr/lib/git-core/git",
		"var/lib/dpkg/status.d/git", "var/lib/dpkg/status.d/git.md5sums",
	}, names)
}

func TestRefusesPackagesThatDoNotFitTogether(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		layers []Layer
		want   string
	}{
		"the same file twice": {[]Layer{layer(t, with("a", debtest.File("usr/x", 0o644, "1")), with("b", debtest.File("usr/x", 0o644, "1")))},
			"usr/x is in a and in b"},
		"the same file under both names of /usr": {
			[]Layer{layer(t, with("a", debtest.File("bin/x", 0o644, "1"), debtest.File("usr/bin/x", 0o644, "1")))}, "usr/bin/x is in a and in a"},
		"a file of a lower layer": {
			[]Layer{layer(t, with("a", debtest.File("usr/x", 0o644, "1"))), layer(t, with("b", debtest.File("usr/x", 0o644, "2")))},
			"usr/x is in a and in b"},
		"directories that differ": {[]Layer{layer(t, with("a", debtest.Dir("srv", 0o755)), with("b", debtest.Dir("srv", 0o700)))},
			"directory srv is 0755 0:0 in a and 0700 0:0 in b"},
		"a link where another has a directory": {[]Layer{layer(t, with("a", debtest.Symlink("srv", "etc")), with("b", debtest.Dir("srv", 0o755)))},
			"srv is in a and in b"},
		"a path through a link": {
			[]Layer{layer(t, with("a", debtest.Symlink("srv", "/etc")), with("b", debtest.File("srv/passwd", 0o644, "root::0:0::/:/bin/sh")))},
			"srv/passwd of b lies below srv, which is no directory in a"},
		"a path through a link of a lower layer": {
			[]Layer{layer(t, with("a", debtest.Symlink("srv", "../../etc"))), layer(t, with("b", debtest.File("srv/a/b", 0o644, "x")))},
			"srv/a/b of b lies below srv, which is no directory in a"},
		"a path through a file": {[]Layer{layer(t, with("a", debtest.File("srv", 0o644, "x"), debtest.File("srv/x", 0o644, "x")))},
			"lies below srv, which is no directory"},
		"a link instead of /bin": {[]Layer{layer(t, with("a", debtest.Symlink("bin", "/tmp")), with("b", debtest.File("bin/sh", 0o755, "x")))},
			"lies below usr/bin, which is no directory in a"},
		"a hard link to nothing": {[]Layer{layer(t, with("a", debtest.Hardlink("usr/x", "etc/shadow")))}, "it links to etc/shadow"},
		"another architecture": {[]Layer{layer(t, debtest.Package{Name: "a", Architecture: "arm64"})},
			"it is for arm64, and the root for amd64"},
		"a name that leads elsewhere": {[]Layer{layer(t, debtest.Package{Control: "Package: ../../etc/cron.d/x\nArchitecture: all\n"})},
			"its control file has no proper name"},
		"a script that nothing stands for": {
			[]Layer{layer(t, debtest.Package{Name: "a", ControlFiles: map[string]string{"postinst": "#", "preinst": "#"}})},
			"it has a postinst and a preinst script, which is not run"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := build(t, test.layers...)
			require.ErrorContains(t, err, test.want)
		})
	}
	_, err := build(t, layer(t, debtest.Package{Name: "libc6", ControlFiles: map[string]string{"postinst": "#"}}))
	require.NoError(t, err, "packages.yaml says why it may be left out")
}

// sample is a root with something of everything.
func sample(t testing.TB) []Layer {
	// Enough text that the compressor's choices show.
	numbers := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for range 50_000 {
		fmt.Fprintf(&text, "%x ", numbers.IntN(300))
	}
	base := layer(t, people(), with("text", debtest.File("usr/share/text", 0o644, text.String())),
		with("a", debtest.Dir("usr", 0o755), debtest.Dir("usr/bin", 0o755), debtest.File("usr/bin/z", 0o755, "one inode"), debtest.Hardlink("usr/bin/a", "usr/bin/z")),
		with("b", debtest.Dir("usr", 0o755), debtest.Dir("tmp", 0o1777), debtest.File("usr/share/ca-certificates/mozilla/Főtanúsítvány.crt", 0o644, "x")),
		with("c", debtest.Symlink("usr/bin/c", "z"), debtest.File("var/lib/c/empty", 0o600, "")),
	)
	base.Set.Users = []definition.User{executor()}
	return []Layer{base}
}

func TestTheSameBytesEveryTime(t *testing.T) {
	t.Parallel()
	// Whatever changes these bytes changes every image that is made of packages: a new version of the compressor, a new order.
	const digest = "6ea2ee1e698fbcc8f3726b56cba5492e31a1d542a4871f7bffdee4cff4b8075e"
	for range 10 {
		layers := sample(t)
		rand.Shuffle(len(layers[0].Packages), func(i, j int) {
			packages := layers[0].Packages
			packages[i], packages[j] = packages[j], packages[i]
		})
		root, err := build(t, layers...)
		require.NoError(t, err)
		var out bytes.Buffer
		require.NoError(t, root.WriteLayer(&out))
		sum := sha256.Sum256(out.Bytes())
		require.Equal(t, digest, hex.EncodeToString(sum[:]))
	}
	entries := made(t, sample(t)...)
	require.EqualValues(t, tar.TypeReg, entries["usr/bin/a"].Typeflag, "the first path carries the contents")
	require.Equal(t, "usr/bin/a", entries["usr/bin/z"].Linkname)
}
