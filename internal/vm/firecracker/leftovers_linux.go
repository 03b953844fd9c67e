package firecracker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/owner"
)

const (
	// cgroupTime bounds the wait for a control group's last process, which has been killed.
	cgroupTime = 10 * time.Second
	// cgroupPause is between two tries.
	cgroupPause = 5 * time.Millisecond
)

// Remove takes away what is left in an Options.Dir of machines that are no longer alive, be they of this executor or of one that died:
// processes, control groups, and jails. It finds machines by their directories and asks about each by name; a machine whose executor may
// still be starting it counts as alive. Files that were drives stay with those that made them, writable ones with the uid of the machine.
func Remove(ctx context.Context, dir string, alive func(name string) bool) error {
	cgroups, err := cgroupMount()
	if err != nil {
		cgroups = "" // no machine can have had a control group
	}
	return remove(ctx, dir, cgroups, alive)
}

func remove(ctx context.Context, dir, cgroups string, alive func(name string) bool) error {
	// The directory between is named after the program's file, which differs between releases.
	found, err := filepath.Glob(filepath.Join(globQuoted(dir), "*"+Program+"*", "*"))
	if err != nil {
		return err
	}
	var failures error
	for _, path := range found {
		name := filepath.Base(path)
		if alive(name) || !validName.MatchString(name) {
			continue
		}
		if ctx.Err() != nil {
			return errors.Join(failures, context.Cause(ctx))
		}
		// The keeper's end has killed the processes; this is for one that the kernel has not got to yet.
		err := errors.Join(killCgroup(cgroups, name), removeCgroup(cgroups, name))
		if err == nil {
			err = owner.RemoveTree(path)
		}
		if err != nil {
			failures = errors.Join(failures, fmt.Errorf("removing what is left of the microVM %s: %w", name, err))
		}
	}
	return failures
}

var globSpecial = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// globQuoted makes a path mean itself in a pattern.
func globQuoted(path string) string { return globSpecial.Replace(path) }

// killCgroup kills what is in a machine's control group. It is the only list of processes that the machine can't write itself: the file
// with a process id in the jail is the monitor's.
func killCgroup(mount, name string) error {
	if mount == "" {
		return nil
	}
	file, err := os.OpenFile(filepath.Join(mount, parentCgroup, name, "cgroup.kill"), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString("1")
	return errors.Join(err, file.Close())
}

// removeCgroup removes a machine's control group once it has no process any more.
func removeCgroup(mount, name string) error {
	if mount == "" {
		return nil
	}
	path := filepath.Join(mount, parentCgroup, name)
	deadline := time.After(cgroupTime)
	for {
		err := unix.Rmdir(path)
		switch {
		case err == nil || errors.Is(err, syscall.ENOENT):
			return nil
		case !errors.Is(err, syscall.EBUSY):
			return &fs.PathError{Op: "rmdir", Path: path, Err: err}
		}
		select {
		case <-deadline:
			return &fs.PathError{Op: "rmdir", Path: path, Err: err}
		case <-time.After(cgroupPause):
		}
	}
}
