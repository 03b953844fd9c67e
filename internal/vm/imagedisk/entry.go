package imagedisk

import (
	"archive/tar"
	"fmt"
	"maps"
	"path"
	"strings"
)

const (
	whiteoutPrefix = ".wh."
	whiteoutMeta   = ".wh..wh."
	opaqueMark     = ".wh..wh..opq"
	xattrPrefix    = "SCHILY.xattr."
)

// inode is what all hard links to a file share.
type inode struct {
	typeflag     byte
	mode         int64
	uid, gid     int
	modified     int64
	size, offset int64
	target       string
	major, minor int64
	xattrs       map[string]string
	linked       bool
}

func (i *inode) isDir() bool { return i.typeflag == tar.TypeDir }

// action is what an entry of a layer does.
type action int

const (
	ignore action = iota
	add
	link
	whiteout
	opaque
)

// entry is one entry of a layer. Path and target are clean; an empty path is the root.
type entry struct {
	action action
	path   string
	target string
	inode  *inode
}

// cleanPath returns name without "." and empty components.
func cleanPath(name string, limit int) (string, error) {
	if len(name) > limit {
		return "", fmt.Errorf("the name measures %d bytes, %d are allowed", len(name), limit)
	}
	parts := make([]string, 0, 8)
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			return "", fmt.Errorf("the name has a \"..\" in it")
		case len(part) > maxComponent:
			return "", fmt.Errorf("a part of the name measures %d bytes, %d are allowed", len(part), maxComponent)
		case strings.Contains(part, "\x00"):
			return "", fmt.Errorf("the name has a zero byte in it")
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "/"), nil
}

// newEntry reads a header. Its error says what is wrong, not where.
func newEntry(header *tar.Header, limits Limits) (entry, error) {
	if header.Typeflag == tar.TypeXGlobalHeader {
		return entry{}, nil
	}
	name, err := cleanPath(header.Name, limits.NameLength)
	if err != nil {
		return entry{}, err
	}
	dir, base := path.Split(name)
	switch {
	case strings.HasPrefix(dir, whiteoutMeta) || strings.Contains(dir, "/"+whiteoutMeta):
		return entry{}, nil
	case strings.HasPrefix(dir, whiteoutPrefix) || strings.Contains(dir, "/"+whiteoutPrefix):
		return entry{}, fmt.Errorf("it lies in a directory whose name begins with %q", whiteoutPrefix)
	case base == opaqueMark:
		return entry{action: opaque, path: strings.TrimSuffix(dir, "/")}, nil
	case strings.HasPrefix(base, whiteoutMeta):
		return entry{}, nil
	case strings.HasPrefix(base, whiteoutPrefix):
		hidden := base[len(whiteoutPrefix):]
		if hidden == "" || hidden == "." || hidden == ".." {
			return entry{}, fmt.Errorf("a whiteout of %q", hidden)
		}
		return entry{action: whiteout, path: dir + hidden}, nil
	}
	return newAddition(header, name, limits)
}

func newAddition(header *tar.Header, name string, limits Limits) (entry, error) {
	if header.Typeflag == tar.TypeLink {
		target, err := cleanPath(header.Linkname, limits.NameLength)
		if err != nil {
			return entry{}, fmt.Errorf("as a hard link to %q: %w", header.Linkname, err)
		}
		return entry{action: link, path: name, target: target}, nil
	}
	i, err := newInode(header)
	return entry{action: add, path: name, inode: i}, err
}

func newInode(header *tar.Header) (*inode, error) {
	i := &inode{typeflag: header.Typeflag, mode: header.Mode & 0o7777, uid: header.Uid, gid: header.Gid}
	// A header without a time has the zero time, which lies long before 1970.
	i.modified = min(max(header.ModTime.Unix(), 0), maxTime)
	if i.uid < 0 || i.gid < 0 || i.uid > maxID || i.gid > maxID {
		return nil, fmt.Errorf("owner %d:%d is out of range", i.uid, i.gid)
	}
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		i.typeflag, i.size = tar.TypeReg, header.Size
	case tar.TypeDir, tar.TypeFifo:
	case tar.TypeSymlink:
		i.target = header.Linkname
		if i.target == "" || len(i.target) > maxTarget || strings.Contains(i.target, "\x00") {
			return nil, fmt.Errorf("a symlink with a target of %d bytes; 1 to %d are allowed, and no zero byte", len(i.target), maxTarget)
		}
	case tar.TypeChar, tar.TypeBlock:
		i.major, i.minor = header.Devmajor, header.Devminor
		if i.major < 0 || i.minor < 0 || i.major > maxMajor || i.minor > maxMinor {
			return nil, fmt.Errorf("device %d:%d is out of range; up to %d:%d are allowed", i.major, i.minor, maxMajor, maxMinor)
		}
	default:
		return nil, fmt.Errorf("it is of the unknown type %q", header.Typeflag)
	}
	return i, i.keepXattrs(header.PAXRecords)
}

// keepXattrs takes over what squashfs can hold.
func (i *inode) keepXattrs(records map[string]string) error {
	for key, value := range records {
		name, ok := strings.CutPrefix(key, xattrPrefix)
		space, _, _ := strings.Cut(name, ".")
		if !ok || space != "user" && space != "security" && space != "trusted" || strings.HasPrefix(name, space+".overlay.") {
			continue
		}
		if len(name) == len(space)+1 || len(name) == len(space) || len(name) > maxXattrName || len(value) > maxXattr || strings.Contains(name, "\x00") {
			return fmt.Errorf("an xattr with a name of %d and a value of %d bytes; up to %d and %d are allowed", len(name), len(value), maxXattrName, maxXattr)
		}
		if i.xattrs == nil {
			i.xattrs = map[string]string{}
		}
		i.xattrs[name] = value
	}
	return nil
}

// metadata is how many bytes of names and the like an entry keeps in memory.
func (e entry) metadata() int64 {
	n := len(e.path) + len(e.target)
	if e.inode != nil {
		n += len(e.inode.target)
		for name := range maps.Keys(e.inode.xattrs) {
			n += len(name) + len(e.inode.xattrs[name])
		}
	}
	return int64(n)
}
