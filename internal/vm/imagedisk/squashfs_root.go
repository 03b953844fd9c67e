package imagedisk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// Places in a squashfs (Documentation/filesystems/squashfs.rst of Linux); numbers are little-endian.
const (
	superblockSize = 96
	squashfsMagic  = 0x73717368
	idCountAt      = 26
	rootInodeAt    = 32
	idTableAt      = 48
	inodeTableAt   = 64
	// metadataSize is what a block of metadata holds behind its two bytes of header, whose top bit says "uncompressed".
	metadataSize = 8 << 10
	uncompressed = 1 << 15
	// Every inode begins with type, mode, index of the user, index of the group (two bytes each) and the time (four).
	inodeHead = 12
)

// normaliseRoot gives the root directory to user and group 0 and dates it 1970. sqfstar 4.5.1 ignores its options for that: it takes who
// runs it, and the present time. The file's inodes must be uncompressed.
func normaliseRoot(path string) (err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	super := make([]byte, superblockSize)
	if _, err := file.ReadAt(super, 0); err != nil {
		return err
	}
	if magic := binary.LittleEndian.Uint32(super); magic != squashfsMagic {
		return fmt.Errorf("it begins with %#x, not as a squashfs", magic)
	}
	reference := binary.LittleEndian.Uint64(super[rootInodeAt:])
	inodes := metadata{file, int64(binary.LittleEndian.Uint64(super[inodeTableAt:]) + reference>>16)}
	inode := make([]byte, inodeHead)
	at := int64(reference & 0xffff)
	if err := inodes.read(inode, at); err != nil {
		return err
	}
	root, err := rootID(file, super, binary.LittleEndian.Uint16(inode[4:]))
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint16(inode[4:], root)
	binary.LittleEndian.PutUint16(inode[6:], root)
	binary.LittleEndian.PutUint32(inode[8:], 0)
	return inodes.write(inode, at)
}

// rootID returns the index of ID 0 in the table of IDs. Without one, its place is taken of the ID of who ran the program.
func rootID(file *os.File, super []byte, own uint16) (uint16, error) {
	count := int(binary.LittleEndian.Uint16(super[idCountAt:]))
	var first [8]byte
	if _, err := file.ReadAt(first[:], int64(binary.LittleEndian.Uint64(super[idTableAt:]))); err != nil {
		return 0, err
	}
	ids := metadata{file, int64(binary.LittleEndian.Uint64(first[:]))}
	table := make([]byte, 4*count)
	if err := ids.read(table, 0); err != nil {
		return 0, err
	}
	for i := range count {
		if binary.LittleEndian.Uint32(table[4*i:]) == 0 {
			return uint16(i), nil
		}
	}
	return own, ids.write(make([]byte, 4), 4*int64(own))
}

// metadata is a run of uncompressed metadata blocks that begins at a place of the file.
type metadata struct {
	file  *os.File
	start int64
}

func (m metadata) read(p []byte, at int64) error {
	return m.pieces(p, at, func(piece []byte, place int64) error {
		_, err := m.file.ReadAt(piece, place)
		return err
	})
}

func (m metadata) write(p []byte, at int64) error {
	return m.pieces(p, at, func(piece []byte, place int64) error {
		_, err := m.file.WriteAt(piece, place)
		return err
	})
}

// pieces calls do for the part of p in each block.
func (m metadata) pieces(p []byte, at int64, do func(piece []byte, place int64) error) error {
	for len(p) > 0 {
		block := m.start + at/metadataSize*(metadataSize+2)
		var header [2]byte
		if _, err := m.file.ReadAt(header[:], block); err != nil {
			return err
		}
		size := binary.LittleEndian.Uint16(header[:])
		if size&uncompressed == 0 {
			return fmt.Errorf("the metadata at %d is compressed", block)
		}
		within := at % metadataSize
		n := min(int64(len(p)), int64(size&^uncompressed)-within)
		if n <= 0 {
			return fmt.Errorf("the metadata at %d ends too early", block)
		}
		if err := do(p[:n], block+2+within); err != nil {
			return err
		}
		p, at = p[n:], at+n
	}
	return nil
}
