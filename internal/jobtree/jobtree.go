// Package jobtree looks into a workspace that a hostile repository or step has written, on the host and in guests alike.
package jobtree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/open-executor/executor/internal/fault"
)

// CleanDir returns a step's working directory, slash-separated and relative to the workspace, "." for the workspace itself. A
// leading slash means the workspace. It is a user error when dir leaves the workspace by its spelling (spec section 5.1).
func CleanDir(dir string) (string, error) {
	cleaned := path.Join(".", strings.TrimLeft(dir, "/"))
	if cleaned == ".." || strings.HasPrefix(cleaned, "../") || strings.ContainsRune(dir, 0) {
		return "", fault.Userf("step directory %q leaves the workspace; give one inside it", dir)
	}
	return cleaned, nil
}

// Dir returns the absolute path of a step's working directory. It is a user error when there is none, when it is no directory,
// or when it lies outside of the workspace, also by way of a symlink.
func Dir(workspace, dir string) (string, error) {
	cleaned, err := CleanDir(dir)
	if err != nil {
		return "", err
	}
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return "", fmt.Errorf("opening the workspace: %w", err)
	}
	defer root.Close()
	info, err := root.Stat(filepath.FromSlash(cleaned))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fault.Userf("step directory %q does not exist in the workspace", dir)
	case err != nil:
		return "", fault.Userf("step directory %q can't be used: %w", dir, err)
	case !info.IsDir():
		return "", fault.Userf("step directory %q is a file, not a directory", dir)
	}
	return filepath.Join(workspace, filepath.FromSlash(cleaned)), nil
}

// TakeFile is runtime.Session's TakeFile for a workspace on this host.
func TakeFile(workspace, name string, limit int64) ([]byte, error) {
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return nil, fmt.Errorf("opening the workspace: %s", err) // not an fs.ErrNotExist: that speaks of the file
	}
	defer root.Close()
	name = filepath.FromSlash(name)
	found, err := root.Lstat(name)
	if err != nil {
		return nil, fmt.Errorf("taking %s: %w", name, err)
	}
	if !found.Mode().IsRegular() {
		return nil, fault.Userf("taking %s: not a regular file (%s)", name, found.Mode().Type())
	}
	content, err := read(root, name, found, limit)
	if err != nil {
		return nil, err
	}
	if err := root.Remove(name); err != nil {
		return nil, fmt.Errorf("removing %s: %w", name, err)
	}
	return content, nil
}

func read(root *os.Root, name string, found fs.FileInfo, limit int64) ([]byte, error) {
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("taking %s: %w", name, err)
	}
	defer file.Close()
	if opened, err := file.Stat(); err != nil || !os.SameFile(found, opened) {
		return nil, errors.Join(fmt.Errorf("taking %s: it changed meanwhile", name), err)
	}
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("taking %s: %w", name, err)
	}
	if int64(len(content)) > limit {
		return nil, fault.Userf("taking %s: it is larger than %d bytes", name, limit)
	}
	return content, nil
}
