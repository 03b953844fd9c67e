package rootfs

import (
	"archive/tar"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/docker-images/debian/internal/deb/debtest"
	"github.com/open-executor/executor/docker-images/debian/internal/definition"
)

func TestUsers(t *testing.T) {
	t.Parallel()
	base := layer(t, people())
	base.Set.Users = []definition.User{executor()}
	entries := made(t, base)
	require.Equal(t, "root:*:0:0:root:/root:/bin/bash\nnobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"+
		"executor:*:1000:1000::/home/executor:/bin/bash\n", entries["etc/passwd"].body)
	require.Equal(t, "root:*:0:\nnogroup:*:65534:\nexecutor:*:1000:\n", entries["etc/group"].body)
	home := entries["home/executor"]
	require.Equal(t, []any{byte(tar.TypeDir), int64(0o755), 1000, 1000}, []any{home.Typeflag, home.Mode, home.Uid, home.Gid})
	require.Zero(t, entries["home"].Uid)

	base.Set.Users = append(base.Set.Users, definition.User{Name: "other", ID: 1000, Home: "/home/other", Shell: "/bin/sh"})
	_, err := build(t, base)
	require.ErrorContains(t, err, `has "executor:*:1000`)
	_, err = build(t, Layer{Set: definition.Set{Users: []definition.User{executor()}}})
	require.ErrorContains(t, err, "user executor: there is no file etc/")
}

func TestUsersOfAnUpperLayer(t *testing.T) {
	t.Parallel()
	entries := made(t, layer(t, people()), Layer{Set: definition.Set{Users: []definition.User{executor()}}})
	require.Len(t, entries, 4)
	require.Contains(t, entries["etc/passwd"].body, "root:*:0:")
	require.Contains(t, entries["etc/passwd"].body, "executor:*:1000:")
	require.Contains(t, entries["etc/group"].body, "executor:*:1000:")
	require.Contains(t, entries, "home/executor")
	require.Contains(t, entries, "home")
}

func TestRecordsForScanners(t *testing.T) {
	t.Parallel()
	entries := made(t, layer(t, debtest.Package{
		Name: "zlib1g", Version: "1:1.2.13", ControlFiles: map[string]string{"md5sums": "aa  lib/libz.so.1\nbb  usr/share/doc/zlib1g/changelog.gz\n"},
		Data: []debtest.Entry{debtest.File("lib/libz.so.1", 0o644, "z"), debtest.File("usr/share/doc/zlib1g/changelog.gz", 0o644, "x")},
	}))
	require.Equal(t, "Package: zlib1g\nStatus: install ok installed\nVersion: 1:1.2.13\nArchitecture: amd64\n"+
		"Maintainer: Nobody <nobody@example.com>\nDescription: a test\n of packages\n", entries["var/lib/dpkg/status.d/zlib1g"].body)
	require.Equal(t, "aa  lib/libz.so.1\n", entries["var/lib/dpkg/status.d/zlib1g.md5sums"].body)
}

func TestBaseFiles(t *testing.T) {
	t.Parallel()
	files := with("base-files", debtest.Dir("etc", 0o755), debtest.Dir("root", 0o700), debtest.Dir("run", 0o755),
		debtest.Dir("var/run", 0o755), debtest.Dir("var/lock", 0o1777), debtest.Dir("usr/local", 0o755))
	for _, name := range []string{"dot.profile", "dot.bashrc", "profile", "motd"} {
		files.Data = append(files.Data, debtest.File("usr/share/base-files/"+name, 0o644, "default of "+name))
	}
	entries := made(t, layer(t, files))
	require.Equal(t, "default of dot.profile", entries["root/.profile"].body)
	require.EqualValues(t, 0o700, entries["root"].Mode)
	require.Equal(t, "default of profile", entries["etc/profile"].body)
	require.Equal(t, "/run", entries["var/run"].Linkname)
	require.Equal(t, "/run/lock", entries["var/lock"].Linkname)
	require.EqualValues(t, 0o1777, entries["run/lock"].Mode)
	require.Equal(t, []any{int64(0o2775), 8}, []any{entries["var/mail"].Mode, entries["var/mail"].Gid})
	require.Contains(t, entries, "usr/local/bin")

	files.Data = append(files.Data, debtest.File("var/run/pid", 0o644, "1"))
	_, err := build(t, layer(t, files))
	require.ErrorContains(t, err, "base-files would replace var/run, and var/run/pid lies below it")
	lower, upper := with("a", debtest.Dir("var/run", 0o755)), files
	upper.Data = upper.Data[:len(upper.Data)-1]
	_, err = build(t, layer(t, lower), layer(t, upper))
	require.ErrorContains(t, err, "base-files would replace var/run, which is a directory of a lower layer")
	files.Data = files.Data[:6]
	_, err = build(t, layer(t, files))
	require.ErrorContains(t, err, "package base-files: there is no file usr/share/base-files/")
}

func TestCertificateBundle(t *testing.T) {
	t.Parallel()
	entries := made(t, layer(t, with("ca-certificates",
		debtest.File("usr/share/ca-certificates/mozilla/b.crt", 0o644, "B\n"),
		debtest.File("usr/share/ca-certificates/mozilla/a.crt", 0o644, "A"),
		debtest.File("usr/share/ca-certificates/mozilla/Z.crt", 0o644, "Z\n"),
		debtest.File("usr/share/ca-certificates/README", 0o644, "no certificate\n"))))
	require.Equal(t, "Z\nA\nB\n", entries["etc/ssl/certs/ca-certificates.crt"].body)
	_, err := build(t, layer(t, with("ca-certificates")))
	require.ErrorContains(t, err, "there are no certificates")
}

func TestSmallImitations(t *testing.T) {
	t.Parallel()
	entries := made(t, layer(t,
		with("debianutils", debtest.File("usr/share/debianutils/shells", 0o644, "# valid login shells\n/bin/sh\n"),
			debtest.File("usr/bin/which.debianutils", 0o755, "which")),
		with("bash", debtest.File("usr/share/debianutils/shells.d/bash", 0o644, "/bin/bash\n")),
		with("libc-bin", debtest.File("usr/share/libc-bin/nsswitch.conf", 0o644, "passwd: files\n")),
		with("mawk", debtest.File("usr/bin/mawk", 0o755, "mawk")),
		with("netbase"), with("tzdata"),
	))
	require.Equal(t, "# valid login shells\n/bin/sh\n/usr/bin/sh\n/bin/bash\n/usr/bin/bash\n", entries["etc/shells"].body)
	require.Equal(t, "which.debianutils", entries["usr/bin/which"].Linkname)
	require.Equal(t, "passwd: files\n", entries["etc/nsswitch.conf"].body)
	require.Equal(t, "mawk", entries["usr/bin/awk"].Linkname)
	require.Contains(t, entries["etc/networks"].body, "loopback\t127.0.0.0\n")
	require.Equal(t, "/usr/share/zoneinfo/Etc/UTC", entries["etc/localtime"].Linkname)
	require.Equal(t, "Etc/UTC\n", entries["etc/timezone"].body)
}
