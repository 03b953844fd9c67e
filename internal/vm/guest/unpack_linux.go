package guest

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
)

// unpack makes what a tar archive holds in the workspace.
func (a *Agent) unpack(content io.Reader) (err error) {
	workspace, _ := a.places()
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return fmt.Errorf("opening the workspace: %s", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	archive := tar.NewReader(content)
	var dirs []*tar.Header
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = unpackOne(root, header, archive)
		}
		if err != nil {
			return fmt.Errorf("unpacking the workspace: %w", err)
		}
		if header.Typeflag == tar.TypeDir {
			dirs = append(dirs, header)
		}
	}
	// What was put into a directory has changed its time, and may not have been allowed by its mode.
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := describe(root, dirs[i]); err != nil {
			return fmt.Errorf("unpacking the workspace: %w", err)
		}
	}
	return nil
}

func unpackOne(root *os.Root, header *tar.Header, content io.Reader) error {
	switch header.Typeflag {
	case tar.TypeDir:
		return root.Mkdir(header.Name, 0o700)
	case tar.TypeSymlink:
		return errors.Join(root.Symlink(header.Linkname, header.Name), root.Lchown(header.Name, header.Uid, header.Gid))
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
		root.Lchown(header.Name, header.Uid, header.Gid),
		root.Chmod(header.Name, header.FileInfo().Mode()&(os.ModePerm|os.ModeSetuid|os.ModeSetgid|os.ModeSticky)),
		root.Chtimes(header.Name, header.ModTime, header.ModTime),
	)
}
