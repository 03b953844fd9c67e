package jobtree

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Pack writes a directory's contents as a tar archive that Unpack reads: directories, each before what is in it, regular files and symbolic links, with
// modes, times and owners. A file with several names becomes several files; pipes, sockets and devices are left out. Fit is asked before each entry, and
// its error ends the work; nil for no conditions.
func Pack(to io.Writer, dir string, fit func(path string, info fs.FileInfo) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	out := tar.NewWriter(to)
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		info, err := entry.Info()
		if err == nil && fit != nil {
			err = fit(path, info)
		}
		if err != nil {
			return err
		}
		return pack(out, root, path, info)
	})
	if err != nil {
		return err
	}
	return out.Close()
}

func pack(out *tar.Writer, root *os.Root, path string, info fs.FileInfo) (err error) {
	header := &tar.Header{Name: path, Mode: mode(info.Mode()), ModTime: info.ModTime(), Format: tar.FormatPAX}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		header.Uid, header.Gid = int(stat.Uid), int(stat.Gid)
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
	default:
		return nil
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

// Unpack makes what Pack wrote in a directory that is empty, and nothing outside of it. Owners are kept where the process is root.
func Unpack(dir string, from io.Reader) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	archive := tar.NewReader(from)
	var dirs []*tar.Header
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = unpack(root, header, archive)
		}
		if err != nil {
			return err
		}
		if header.Typeflag == tar.TypeDir {
			dirs = append(dirs, header)
		}
	}
	// What was put into a directory has changed its time, and may not have been allowed by its mode.
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := describe(root, dirs[i]); err != nil {
			return err
		}
	}
	return nil
}

func unpack(root *os.Root, header *tar.Header, content io.Reader) error {
	switch header.Typeflag {
	case tar.TypeDir:
		return root.Mkdir(header.Name, 0o700)
	case tar.TypeSymlink:
		return errors.Join(root.Symlink(header.Linkname, header.Name), own(root, header))
	case tar.TypeReg:
		file, err := root.OpenFile(header.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
		return describe(root, header)
	}
	return fmt.Errorf("%s: entries of type %q are not known", header.Name, header.Typeflag)
}

// describe gives a file or directory its owner, mode and time. The owner comes first: a new one takes away mode bits.
func describe(root *os.Root, header *tar.Header) error {
	return errors.Join(
		own(root, header),
		root.Chmod(header.Name, header.FileInfo().Mode()&(os.ModePerm|os.ModeSetuid|os.ModeSetgid|os.ModeSticky)),
		root.Chtimes(header.Name, header.ModTime, header.ModTime),
	)
}

func own(root *os.Root, header *tar.Header) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return root.Lchown(header.Name, header.Uid, header.Gid)
}
