package guest

import (
	"fmt"
	"io"
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

// unpack makes what an archive holds in the workspace.
func (a *Agent) unpack(content io.Reader) error {
	workspace, _ := a.places()
	if err := jobtree.Unpack(workspace, content); err != nil {
		return fmt.Errorf("unpacking the workspace: %w", err)
	}
	return nil
}

// write puts a file in place of whatever stands there, whole.
func (a *Agent) write(w channel.Write, content io.Reader) error {
	base, _ := a.places()
	name := w.Path
	if strings.HasPrefix(name, "/") {
		base, name = "/", strings.TrimLeft(name, "/")
	}
	if err := jobtree.WriteFile(base, name, w.Mode.Perm(), content); err != nil {
		return fault.Userf("writing %s: %w", w.Path, err)
	}
	return nil
}
