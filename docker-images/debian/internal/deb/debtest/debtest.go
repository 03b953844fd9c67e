// Package debtest makes small Debian packages, whole ones and hostile ones, for tests.
package debtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"
)

// Package describes a package file.
type Package struct {
	// Name, Version and Architecture go into the control file; the latter two have defaults.
	Name, Version, Architecture string
	// Control replaces the whole control file where it is set.
	Control string
	// ControlFiles are more files of the control archive: scripts, md5sums.
	ControlFiles map[string]string
	// Data are the entries of the data archive, in this order.
	Data []Entry
	// Compression is ".xz", ".gz" or "" for none; the default is ".gz".
	Compression *string
}

// Entry is one entry of the data archive. Mode, Typeflag and the rest of the header have the defaults of a regular file.
type Entry struct {
	tar.Header
	Body string
}

// Dir, File, Symlink and Hardlink make entries as Debian's tools write them.
func Dir(name string, mode int64) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: "./" + name + "/", Mode: mode}}
}

// File is a regular file.
func File(name string, mode int64, body string) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: "./" + name, Mode: mode}, Body: body}
}

// Symlink is a symbolic link.
func Symlink(name, target string) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: "./" + name, Linkname: target, Mode: 0o777}}
}

// Hardlink shares the contents of an earlier entry.
func Hardlink(name, target string) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeLink, Name: "./" + name, Linkname: "./" + target, Mode: 0o755}}
}

// Bytes is the package file.
func (p Package) Bytes(t testing.TB) []byte {
	t.Helper()
	control := p.Control
	if control == "" {
		control = fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Nobody <nobody@example.com>\nDescription: a test\n of packages\n",
			p.Name, orElse(p.Version, "1.0"), orElse(p.Architecture, "amd64"))
	}
	entries := []Entry{File("control", 0o644, control)}
	for name, text := range p.ControlFiles {
		entries = append(entries, File(name, 0o755, text))
	}
	compression := ".gz"
	if p.Compression != nil {
		compression = *p.Compression
	}
	return Archive(
		Member{"debian-binary", []byte("2.0\n")},
		Member{"control.tar.gz", Tar(t, ".gz", entries...)},
		Member{"data.tar" + compression, Tar(t, compression, p.Data...)},
	)
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// Member is a member of an ar archive.
type Member struct {
	Name string
	Data []byte
}

// Archive is an ar archive.
func Archive(members ...Member) []byte {
	var out bytes.Buffer
	out.WriteString("!<arch>\n")
	for _, m := range members {
		fmt.Fprintf(&out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.Name, 0, 0, 0, "100644", len(m.Data))
		out.Write(m.Data)
		if len(m.Data)%2 == 1 {
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

// Tar is a tar archive, compressed as the extension says.
func Tar(t testing.TB, extension string, entries ...Entry) []byte {
	t.Helper()
	var plain bytes.Buffer
	archive := tar.NewWriter(&plain)
	for _, entry := range entries {
		header := entry.Header
		if header.Typeflag == tar.TypeReg && header.Size == 0 {
			header.Size = int64(len(entry.Body))
		}
		require.NoError(t, archive.WriteHeader(&header))
		_, err := archive.Write([]byte(entry.Body))
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	var out bytes.Buffer
	switch strings.TrimPrefix(extension, ".") {
	case "":
		return plain.Bytes()
	case "gz":
		w := gzip.NewWriter(&out)
		_, err := w.Write(plain.Bytes())
		require.NoError(t, err)
		require.NoError(t, w.Close())
	case "xz":
		w, err := xz.NewWriter(&out)
		require.NoError(t, err)
		_, err = w.Write(plain.Bytes())
		require.NoError(t, err)
		require.NoError(t, w.Close())
	default:
		t.Fatalf("no such compression: %q", extension)
	}
	return out.Bytes()
}
