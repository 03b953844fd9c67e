package agent

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/jobtree"
	"github.com/open-executor/executor/internal/vm/channel"
)

// maxTaken bounds what the executor may ask for, in bytes.
const maxTaken = 64 << 20

// unpack makes the workspace of an archive. What an archive that broke off has left is removed first.
func (a *Agent) unpack(content io.Reader) error {
	a.mu.Lock()
	began := a.began
	a.mu.Unlock()
	if began {
		return errors.New("steps have the workspace already")
	}
	entries, err := os.ReadDir(a.options.Workspace)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(a.options.Workspace)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for _, entry := range entries {
		// A volume of its own comes with it; nothing else stays.
		if entry.Name() == "lost+found" {
			continue
		}
		if err := root.RemoveAll(entry.Name()); err != nil {
			return err
		}
	}
	if err := jobtree.Unpack(a.options.Workspace, content); err != nil {
		return fmt.Errorf("unpacking the workspace: %w", err)
	}
	return nil
}

func (a *Agent) take(t channel.Take, out io.Writer) error {
	content, err := a.taken.get(t, func() ([]byte, error) { return jobtree.TakeFile(a.options.Workspace, t.Path, min(t.Limit, maxTaken)) })
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	return err
}

func (a *Agent) write(w channel.Write, content io.Reader) error {
	if err := jobtree.WriteFile(a.options.Workspace, w.Path, w.Mode.Perm(), content); err != nil {
		return fault.Userf("writing %s: %w", w.Path, err)
	}
	return nil
}
