package workspace

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/open-executor/executor/internal/fault"
)

// outside is the reference's text for every write that would leave the workspace.
const outside = "refusing to write outside of working directory"

// tree reads and writes below the workspace. No component of a path may be a symbolic link: os.Root alone would still follow
// those that stay inside. All paths are relative and local.
type tree struct{ root *os.Root }

func openTree(dir string) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the workspace: %w", err)
	}
	return &tree{root}, nil
}

func (t *tree) Close() error { return t.root.Close() }

// mkdirAll makes a directory and its parents. It refuses symbolic links and files on the way.
func (t *tree) mkdirAll(path string) error {
	if path == "." {
		return nil
	}
	for i := range len(path) + 1 {
		if i < len(path) && !os.IsPathSeparator(path[i]) {
			continue
		}
		if err := t.mkdir(path[:i]); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) mkdir(path string) error {
	info, err := t.root.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return t.root.Mkdir(path, 0o777)
	case err != nil:
		return err
	case info.Mode().Type() == fs.ModeSymlink:
		return fault.Userf("%s: %q is a symbolic link", outside, path)
	case !info.IsDir():
		return fault.Userf("%q is a file, not a directory", path)
	}
	return nil
}

// forceDir makes a directory in place of whatever else has its name.
func (t *tree) forceDir(path string) error {
	info, err := t.root.Lstat(path)
	if err == nil && !info.IsDir() {
		err = t.root.Remove(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return t.mkdirAll(path)
}

// create makes a new executable file with its parents. What has the name already, a symbolic or hard link perhaps, is removed,
// never written through; a directory is refused.
func (t *tree) create(path string) (*os.File, error) {
	if err := t.mkdirAll(filepath.Dir(path)); err != nil {
		return nil, err
	}
	info, err := t.root.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fault.Userf("%q is a directory, not a file", path)
	default:
		if err := t.root.Remove(path); err != nil {
			return nil, err
		}
	}
	file, err := t.root.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return nil, err
	}
	// The users of a container must be able to run it whatever our umask; the workspace's own mode keeps others out.
	if err := file.Chmod(0o755); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// write creates a file with what reader has. A zero modTime leaves the current time.
func (t *tree) write(path string, reader io.Reader, modTime time.Time) error {
	file, err := t.create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, reader)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if modTime.IsZero() {
		return nil
	}
	return t.root.Chtimes(path, modTime, modTime)
}

// read returns a regular file of at most limit bytes.
func (t *tree) read(path string, limit int64) ([]byte, error) {
	file, err := t.open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fault.Userf("%q is larger than %d bytes", path, limit)
	}
	return content, nil
}

func (t *tree) open(path string) (*os.File, error) {
	var seen fs.FileInfo
	for rest, done := path, ""; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, string(filepath.Separator))
		done = filepath.Join(done, name)
		var err error
		if seen, err = t.root.Lstat(done); err != nil {
			return nil, err
		}
		if seen.Mode().Type() == fs.ModeSymlink {
			return nil, fault.Userf("%q is a symbolic link", done)
		}
	}
	if !seen.Mode().IsRegular() {
		return nil, fault.Userf("%q is not a regular file", path)
	}
	// Non-blocking, and compared with what was seen: processes of the job may swap it for a link or a pipe meanwhile.
	file, err := t.root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !os.SameFile(seen, info) {
		err = fault.Userf("%q changed while it was opened", path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
