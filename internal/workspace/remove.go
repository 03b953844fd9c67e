package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/owner"
)

// TakeFile reads a file of the workspace and removes it. Path is slash-separated and relative to the workspace. The error is
// fs.ErrNotExist when there is no such file; symbolic links on the way, anything but a regular file, more than limit bytes,
// and paths that leave the workspace are user errors, and nothing is removed then.
func (w *Workspace) TakeFile(path string, limit int64) ([]byte, error) {
	local, ok := localPath(path)
	if !ok {
		return nil, fault.Userf("path %q is not inside the workspace", path)
	}
	tree, err := openTree(w.Dir)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	content, err := tree.read(local, limit)
	if err != nil {
		return nil, err
	}
	return content, tree.root.Remove(local)
}

// Remove removes the directory, unless it is to be kept, and writes the entry teardown.fs. The context bounds only
// how long a directory is tried that something still writes to. It is called once.
func (w *Workspace) Remove(ctx context.Context, log command.Log) error {
	entry := log.Open("teardown.fs", nil)
	if w.keep {
		fmt.Fprintf(entry, "Preserving workspace files as per config: %s\n", w.Dir)
		entry.Close(0)
		w.release()
		return nil
	}
	err := w.discard(ctx)
	if err != nil {
		fmt.Fprintf(entry, "%s\n", err)
		entry.Close(1)
		return err
	}
	entry.Close(0)
	return nil
}

// Removal is tried more than once: a process that was just killed may still add a file.
const (
	removals     = 5
	removalPause = 100 * time.Millisecond
)

func (w *Workspace) discard(ctx context.Context) error {
	var err error
	for range removals {
		if err = owner.RemoveTree(w.Dir); err == nil {
			w.release()
			return nil
		}
		if errors.Is(err, fs.ErrPermission) {
			break
		}
		timer := time.NewTimer(removalPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return removalFault(err)
		}
	}
	return removalFault(err)
}

func removalFault(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fault.Operatorf("removing the workspace: %w; files of another user have to be removed by hand: run the executor as "+
			"the user that containers write as", err)
	}
	return fmt.Errorf("removing the workspace: %w", err)
}
