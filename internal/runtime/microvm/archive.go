package microvm

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Bounds of a workspace that goes through the guest agent: beyond them a copy onto the disk, before it is mounted, is faster.
const (
	archiveEntries = 256
	archiveBytes   = 1 << 20
)

// errUnfit says that a workspace is not one for an archive.
var errUnfit = errors.New("the workspace is no small tree of plain files")

// archive returns a directory's contents as a tar archive, directories before what is in them. The error is errUnfit when there are more than
// archiveEntries, when the archive has more than archiveBytes, or when a tar archive would not hold them as they are: files with several names, devices.
func archive(dir string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	var packed bytes.Buffer
	out := tar.NewWriter(&packed)
	entries := 0
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		if entries++; entries > archiveEntries {
			return errUnfit
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if err := pack(out, root, path, info); err != nil {
			return err
		}
		if packed.Len() > archiveBytes {
			return errUnfit
		}
		return nil
	})
	if err = errors.Join(err, out.Close()); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

func pack(out *tar.Writer, root *os.Root, path string, info fs.FileInfo) (err error) {
	header := &tar.Header{Name: path, Mode: mode(info.Mode()), ModTime: info.ModTime(), Format: tar.FormatPAX}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		header.Uid, header.Gid = int(stat.Uid), int(stat.Gid)
		if !info.IsDir() && stat.Nlink > 1 {
			return errUnfit
		}
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		header.Typeflag = tar.TypeDir
	case fs.ModeSymlink:
		header.Typeflag = tar.TypeSymlink
		if header.Linkname, err = root.Readlink(path); err != nil {
			return err
		}
	case 0:
		header.Typeflag, header.Size = tar.TypeReg, info.Size()
		if header.Size > archiveBytes {
			return errUnfit
		}
	default:
		return errUnfit
	}
	if err := out.WriteHeader(header); err != nil || header.Size == 0 {
		return err
	}
	file, err := root.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if _, err := io.CopyN(out, file, header.Size); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// mode is a file's mode as Unix has it.
func mode(m fs.FileMode) int64 {
	bits := int64(m.Perm())
	for flag, bit := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&flag != 0 {
			bits |= bit
		}
	}
	return bits
}
