package owner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// RemoveTree removes path and everything below it; a missing path is no error. It never follows a symlink, and opens up
// directories that are closed to their owner, such as read-only module caches. Nothing else may write below path meanwhile.
func RemoveTree(path string) error {
	err := os.RemoveAll(path)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	parent, openErr := os.OpenRoot(filepath.Dir(path))
	if openErr != nil {
		return errors.Join(err, openErr)
	}
	defer parent.Close()
	if openErr := openUp(parent, filepath.Base(path)); openErr != nil {
		err = fmt.Errorf("%w (opening it up: %w)", err, openErr)
	}
	if os.RemoveAll(path) == nil {
		return nil
	}
	return err
}

// openUp gives the owner all rights on name, when it is a directory, and on the directories below it.
func openUp(parent *os.Root, name string) error {
	info, err := parent.Lstat(name)
	if err != nil || !info.IsDir() {
		return err
	}
	if info.Mode().Perm()&0o700 != 0o700 {
		if err := parent.Chmod(name, 0o700); err != nil {
			return err
		}
	}
	dir, err := parent.OpenRoot(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	entries, err := fs.ReadDir(dir.FS(), ".")
	for _, entry := range entries {
		if entry.IsDir() {
			err = errors.Join(err, openUp(dir, entry.Name()))
		}
	}
	return err
}
