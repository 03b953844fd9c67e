package guest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/jobtree"
	"github.com/open-executor/executor/internal/vm/channel"
)

// maxTaken bounds what the host may ask for, in bytes.
const maxTaken = 64 << 20

func (a *Agent) take(t channel.Take, out io.Writer) error {
	workspace, _ := a.places()
	content, err := jobtree.TakeFile(workspace, t.Path, min(t.Limit, maxTaken))
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	return err
}

// write puts a file in place of whatever stands there, whole.
func (a *Agent) write(w channel.Write, content io.Reader) (err error) {
	base, _ := a.places()
	name := filepath.FromSlash(w.Path)
	if strings.HasPrefix(w.Path, "/") {
		base, name = "/", strings.TrimLeft(name, "/")
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return fmt.Errorf("opening the workspace: %s", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := writeIn(root, name, a.name(".writing"), w.Mode.Perm(), content); err != nil {
		return fault.Userf("writing %s: %w", w.Path, err)
	}
	return nil
}

// writeIn writes a file under another name beside it first.
func writeIn(root *os.Root, name, making string, mode os.FileMode, content io.Reader) (err error) {
	dir := filepath.Dir(name)
	if err := root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	making = filepath.Join(dir, making)
	file, err := root.OpenFile(making, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.Remove(making))
		}
	}()
	_, err = io.Copy(file, content)
	if err := errors.Join(err, file.Chmod(mode), file.Close()); err != nil {
		return err
	}
	if err := root.RemoveAll(name); err != nil {
		return err
	}
	return root.Rename(making, name)
}
