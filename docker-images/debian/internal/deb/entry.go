package deb

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ulikunitz/xz"
)

// Kind says what an entry is.
type Kind int

// The kinds that may be in a package. Devices and pipes may not: an image gets its own from the engine.
const (
	Directory Kind = iota
	File
	Symlink
	Hardlink
)

// Entry is one entry of a package, as it would lie below the root.
type Entry struct {
	// Name is relative to the root, clean, without a dot in front: "usr/bin/git".
	Name string
	Kind Kind
	// Mode holds the permission bits with setuid, setgid and sticky: 07777 at most.
	Mode     int64
	UID, GID int
	// Size is that of a regular file, in bytes.
	Size int64
	// Target is a symbolic link's text, any, or the Name that a hard link shares its contents with.
	Target string
}

const (
	maxName = 1024
	// maxID is nogroup's; Debian's packages use fixed numbers only.
	maxID = 65534
)

// unpack undoes the compression that the member's name tells.
func unpack(m member) (io.Reader, error) {
	switch _, extension, _ := strings.Cut(m.name, ".tar"); extension {
	case "":
		return bytes.NewReader(m.data), nil
	case ".gz":
		return gzip.NewReader(bytes.NewReader(m.data))
	case ".xz":
		return xz.NewReader(bytes.NewReader(m.data))
	default:
		return nil, fmt.Errorf("compression %q is not supported: Debian uses .xz and .gz", extension)
	}
}

// walk visits the entries of a tar member that unpacks to at most limit bytes.
func walk(m member, limit int64, visit func(Entry, io.Reader) error) error {
	stream, err := unpack(m)
	if err != nil {
		return err
	}
	bounded := &boundedReader{from: stream, left: limit, limit: limit}
	archive := tar.NewReader(bounded)
	for count := 0; ; count++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			// The compression's own checksum comes last.
			_, err := io.Copy(io.Discard, bounded)
			return err
		}
		if err != nil {
			return err
		}
		if count == maxEntries {
			return fmt.Errorf("more than %d entries", maxEntries)
		}
		entry, err := toEntry(header)
		if err != nil {
			return fmt.Errorf("entry %q: %w", header.Name, err)
		}
		if entry.Name == "." {
			continue
		}
		if err := visit(entry, archive); err != nil {
			return fmt.Errorf("entry %q: %w", header.Name, err)
		}
	}
}

func toEntry(header *tar.Header) (Entry, error) {
	entry := Entry{Mode: header.Mode & 0o7777, UID: header.Uid, GID: header.Gid}
	switch header.Typeflag {
	case tar.TypeDir:
		entry.Kind = Directory
	case tar.TypeReg:
		entry.Kind, entry.Size = File, header.Size
	case tar.TypeSymlink:
		entry.Kind, entry.Target = Symlink, header.Linkname
	case tar.TypeLink:
		entry.Kind = Hardlink
	default:
		return entry, fmt.Errorf("type %q is refused: a package holds directories, files and links", header.Typeflag)
	}
	for name := range header.PAXRecords {
		// dpkg knows no extended attributes; a sparse file yields more bytes than it takes in the archive.
		if strings.HasPrefix(name, "SCHILY.xattr.") || strings.HasPrefix(name, "GNU.sparse.") {
			return entry, fmt.Errorf("attribute %s is refused", name)
		}
	}
	if entry.UID < 0 || entry.UID > maxID || entry.GID < 0 || entry.GID > maxID {
		return entry, fmt.Errorf("owner %d:%d is refused: numbers go from 0 to %d", entry.UID, entry.GID, maxID)
	}
	var err error
	if entry.Name, err = clean(header.Name); err != nil {
		return entry, err
	}
	switch {
	case entry.Name == "." && entry.Kind != Directory:
		return entry, errors.New("the root is no directory")
	case entry.Kind == Hardlink:
		if entry.Target, err = clean(header.Linkname); err != nil {
			return entry, fmt.Errorf("its target %q: %w", header.Linkname, err)
		}
	case entry.Kind == Symlink:
		return entry, checkText(entry.Target)
	}
	return entry, nil
}

// clean takes "./" and a closing slash off a path and refuses what could lead out of the root or be read in two ways.
func clean(name string) (string, error) {
	if err := checkText(name); err != nil {
		return "", err
	}
	if strings.HasPrefix(name, "/") {
		return "", errors.New("absolute paths are refused")
	}
	short := strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	if short == "" {
		short = "."
	}
	if short != path.Clean(short) || short == ".." || strings.HasPrefix(short, "../") {
		return "", errors.New("paths with empty parts, . or .. are refused")
	}
	return short, nil
}

func checkText(text string) error {
	switch {
	case text == "":
		return errors.New("an empty path is refused")
	case len(text) > maxName:
		return fmt.Errorf("paths longer than %d bytes are refused", maxName)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("paths with control characters or broken UTF-8 are refused")
	}
	return nil
}

// boundedReader fails, rather than ends, where more than limit bytes come.
type boundedReader struct {
	from        io.Reader
	left, limit int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("it unpacks to more than %d bytes", b.limit)
	}
	return n, err
}
