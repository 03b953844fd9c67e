package rootfs

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-executor/executor/docker-images/debian/internal/deb"
)

// configure does what the maintainer scripts of a package would do in a new root.
func (b *builder) configure(p *deb.Package) error {
	name := p.Control.Get("Package")
	if imitate, known := imitations[name]; known {
		return imitate(b.tree)
	}
	if _, known := b.scripts[name]; !known && len(p.Scripts) > 0 {
		return fmt.Errorf("it has a %s script, which is not run: say under scripts in packages.yaml why nothing is missed, or imitate it in "+
			"internal/rootfs/scripts.go", strings.Join(p.Scripts, " and a "))
	}
	return nil
}

// imitations stand for the maintainer scripts of packages whose scripts matter. Each is checked against the script of the version in
// Debian 12.
var imitations = map[string]func(*tree) error{
	"base-files":      baseFiles,
	"base-passwd":     basePasswd,
	"ca-certificates": caCertificates,
	"debianutils":     debianutils,
	"libc-bin":        libcBin,
	"mawk":            mawk,
	"netbase":         netbase,
	"tzdata":          tzdata,
}

// baseFiles copies the defaults of files that people edit, and makes the folders that belong to no package. The script's empty logs of
// logins are left out: nobody logs in.
func baseFiles(t *tree) error {
	const owner = "base-files"
	const mail = 8
	for from, to := range map[string]string{
		"dot.profile": "root/.profile",
		"dot.bashrc":  "root/.bashrc",
		"profile":     "etc/profile",
		"motd":        "etc/motd",
	} {
		if err := t.copy(owner, "usr/share/base-files/"+from, to); err != nil {
			return err
		}
	}
	for _, dir := range strings.Fields("etc/opt media mnt opt srv usr/local usr/local/bin usr/local/etc usr/local/games " +
		"usr/local/include usr/local/lib usr/local/sbin usr/local/share usr/local/share/man usr/local/src var/opt") {
		if err := t.directory(owner, dir, 0o755, 0, 0); err != nil {
			return err
		}
	}
	if err := t.directory(owner, "var/mail", 0o2775, 0, mail); err != nil {
		return err
	}
	if err := t.directory(owner, "run/lock", 0o1777, 0, 0); err != nil {
		return err
	}
	links := map[string]string{
		"etc/dpkg/origins/default": "debian",
		"usr/local/man":            "share/man",
		"var/lock":                 "/run/lock",
		"var/run":                  "/run",
		"var/spool/mail":           "../mail",
	}
	for _, name := range slices.Sorted(maps.Keys(links)) {
		if err := t.symlink(owner, name, links[name]); err != nil {
			return err
		}
	}
	return nil
}

func basePasswd(t *tree) error {
	for from, to := range map[string]string{"passwd.master": "etc/passwd", "group.master": "etc/group"} {
		if err := t.copy("base-passwd", "usr/share/base-passwd/"+from, to); err != nil {
			return err
		}
	}
	return nil
}

// caCertificates makes the bundle as update-ca-certificates would: all certificates in the order of their paths. The links by hash need
// OpenSSL, which is not in the root; programs over it that look for them find the bundle when SSL_CERT_FILE names it.
func caCertificates(t *tree) error {
	const folder = "usr/share/ca-certificates/"
	var bundle bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(t.nodes)) {
		if !strings.HasPrefix(name, folder) || !strings.HasSuffix(name, ".crt") {
			continue
		}
		certificate, err := t.read(name)
		if err != nil {
			return err
		}
		bundle.Write(certificate)
		if !bytes.HasSuffix(certificate, []byte("\n")) {
			bundle.WriteByte('\n')
		}
	}
	if bundle.Len() == 0 {
		return fmt.Errorf("there are no certificates below %s", folder)
	}
	return t.file("ca-certificates", "etc/ssl/certs/ca-certificates.crt", 0o644, bundle.Bytes())
}

// debianutils lists the shells that packages register, each by both its names in a merged /usr, and gives the program which its name.
func debianutils(t *tree) error {
	const owner, template, folder = "debianutils", "usr/share/debianutils/shells", "usr/share/debianutils/shells.d/"
	list, err := t.read(template)
	if err != nil {
		return err
	}
	listed := strings.Split(string(list), "\n")
	list = bytes.Clone(list)
	for _, name := range slices.Sorted(maps.Keys(t.nodes)) {
		if name != template && !strings.HasPrefix(name, folder) {
			continue
		}
		registered, err := t.read(name)
		if err != nil {
			return err
		}
		for shell := range strings.FieldsSeq(string(registered)) {
			for _, name := range []string{shell, "/" + merged(strings.TrimPrefix(shell, "/"))} {
				if strings.HasPrefix(shell, "/") && !slices.Contains(listed, name) {
					listed, list = append(listed, name), append(list, name+"\n"...)
				}
			}
		}
	}
	if err := t.file(owner, "etc/shells", 0o644, list); err != nil {
		return err
	}
	return t.symlink(owner, "usr/bin/which", "which.debianutils")
}

// libcBin leaves out the cache of libraries: all of Debian's own lie where the loader looks by itself.
func libcBin(t *tree) error {
	return t.copy("libc-bin", "usr/share/libc-bin/nsswitch.conf", "etc/nsswitch.conf")
}

func mawk(t *tree) error {
	for _, name := range []string{"usr/bin/awk", "usr/bin/nawk"} {
		if err := t.symlink("mawk", name, "mawk"); err != nil {
			return err
		}
	}
	return nil
}

// netbase leaves /etc/hosts to the engine, which writes its own.
func netbase(t *tree) error {
	return t.file("netbase", "etc/networks", 0o644, []byte("default\t\t0.0.0.0\nloopback\t127.0.0.0\nlink-local\t169.254.0.0\n\n"))
}

func tzdata(t *tree) error {
	if err := t.symlink("tzdata", "etc/localtime", "/usr/share/zoneinfo/Etc/UTC"); err != nil {
		return err
	}
	return t.file("tzdata", "etc/timezone", 0o644, []byte("Etc/UTC\n"))
}

// copy gives a package's template its place.
func (t *tree) copy(owner, from, to string) error {
	data, err := t.read(from)
	if err != nil {
		return err
	}
	return t.file(owner, to, 0o644, data)
}
