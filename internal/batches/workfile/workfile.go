// Package workfile reads files of a workspace in which hostile steps have written.
package workfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/open-executor/executor/internal/fault"
)

// Read returns the content of a regular file directly in dir, of at most limit bytes. Symlinks are refused. Errors are fs.ErrNotExist when
// the file is missing.
func Read(dir, name string, limit int64) (content []byte, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	found, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !found.Mode().IsRegular() {
		return nil, fault.Userf("%s is %s, not a regular file: no step may replace it", filepath.Join(dir, name), found.Mode().Type())
	}
	// A step that still runs may change the file meanwhile: what is read has to be what was looked at, and a pipe must not block.
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	opened, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(found, opened) {
		return nil, fault.Userf("%s was replaced while it was opened: no step may leave processes that write there", filepath.Join(dir, name))
	}
	content, err = io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(dir, name), err)
	}
	if int64(len(content)) > limit {
		return nil, fault.Userf("%s is larger than %d MiB, which is the most that is read: let the step write less", filepath.Join(dir, name), limit>>20)
	}
	return content, nil
}
