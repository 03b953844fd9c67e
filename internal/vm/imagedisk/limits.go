package imagedisk

import "cmp"

// Limits bound what an image may ask for. Zero values stand for the defaults.
type Limits struct {
	// Bytes bounds the uncompressed size of all layers together, and of their files with the holes filled; 32 GiB by default.
	Bytes int64
	// Entries bounds the number of files, directories and whiteouts of all layers, parents that had to be made included; 2^20 by default.
	Entries int
	// Metadata bounds the bytes of all names, link targets and xattrs, which lie in memory; 256 MiB by default.
	Metadata int64
	// NameLength bounds a path in bytes; 4095 by default.
	NameLength int
	// Layers bounds the number of layers; 512 by default.
	Layers int
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Bytes:      cmp.Or(l.Bytes, 32<<30),
		Entries:    cmp.Or(l.Entries, 1<<20),
		Metadata:   cmp.Or(l.Metadata, 256<<20),
		NameLength: cmp.Or(l.NameLength, 4095),
		Layers:     cmp.Or(l.Layers, 512),
	}
}

// What squashfs, Linux and sqfstar can hold.
const (
	maxComponent = 255
	maxTarget    = 4095
	maxID        = 1<<32 - 2
	maxTime      = 1<<32 - 1
	maxXattrName = 255
	maxXattr     = 64 << 10
	// maxIDs is the number of different users and groups in one file system.
	maxIDs = 1<<16 - 16
	// maxMinor is where sqfstar 4.5.1 stops putting minor numbers right.
	maxMajor, maxMinor = 4095, 255
	// maxLinks is the number of symlinks in one path, as in Linux.
	maxLinks = 40
)
