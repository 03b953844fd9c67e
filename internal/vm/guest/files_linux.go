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

// write writes a file in place of whatever stands there.
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
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fault.Userf("writing %s: %w", w.Path, err)
	}
	if err := root.RemoveAll(name); err != nil {
		return fault.Userf("writing %s: %w", w.Path, err)
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, w.Mode.Perm())
	if err != nil {
		return fault.Userf("writing %s: %w", w.Path, err)
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Chmod(w.Mode.Perm()), file.Close())
}
