package owner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/open-executor/executor/internal/flock"
)

// makingPrefix begins the names of records that are not yet complete; they live for microseconds.
const (
	makingPrefix = ".making-"
	makingLimit  = time.Minute
)

// Abandoned is the record of an executor that no longer lives. Whoever holds it holds its lock, so nobody else reaps it; it
// must be ended by Forget or Release.
type Abandoned struct {
	Record
	// Paths are the directories that the executor had not released.
	Paths []string

	path string
	file *os.File
}

// FindAbandoned returns the records in the state directory dir whose executors no longer live and which nobody else is
// reaping, by name. Records that can't be read are in the error; the others are returned all the same. A missing
// directory holds none.
func FindAbandoned(dir string) ([]*Abandoned, error) {
	if err := checkStateDir(dir); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing owner records: %w", err)
	}
	var found []*Abandoned
	var failures []error
	for _, file := range files {
		if strings.HasPrefix(file.Name(), makingPrefix) {
			removeStillborn(dir, file)
			continue
		}
		abandoned, err := open(filepath.Join(dir, file.Name()))
		if err != nil {
			failures = append(failures, fmt.Errorf("reading owner record %s: %w", file.Name(), err))
		} else if abandoned != nil {
			found = append(found, abandoned)
		}
	}
	return found, errors.Join(failures...)
}

// removeStillborn removes what an executor left that died between making its record and giving it its name.
func removeStillborn(dir string, file os.DirEntry) {
	if info, err := file.Info(); err == nil && time.Since(info.ModTime()) > makingLimit {
		_ = os.Remove(filepath.Join(dir, file.Name()))
	}
}

// open returns nil for a record whose executor lives or which someone else is reaping.
func open(path string) (*Abandoned, error) {
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	abandoned, err := lockAndRead(path, file)
	if abandoned == nil {
		_ = file.Close()
	}
	return abandoned, err
}

func lockAndRead(path string, file *os.File) (*Abandoned, error) {
	err := flock.Try(file, flock.Exclusive)
	if errors.Is(err, flock.ErrHeld) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// Someone else may have reaped and removed the record before its lock was ours.
	ours, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if current, err := os.Lstat(path); err != nil || !os.SameFile(ours, current) {
		return nil, nil
	}
	journal, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	record, paths, err := parseJournal(journal)
	if err != nil {
		return nil, err
	}
	if record.Executor != filepath.Base(path) {
		return nil, fmt.Errorf("it is of another executor, %q", record.Executor)
	}
	return &Abandoned{Record: record, Paths: paths, path: path, file: file}, nil
}

// Remove removes a tracked directory and all that is in it. It refuses paths that the executor did not track or that don't lie
// right below one of the record's parents.
func (a *Abandoned) Remove(path string) error {
	if !slices.Contains(a.Paths, path) {
		return fmt.Errorf("not removing %s: executor %s did not track it", path, a.Executor)
	}
	if !a.holds(path) {
		return fmt.Errorf("not removing %s: it does not lie right below one of %s", path, strings.Join(a.Parents, ", "))
	}
	return RemoveTree(path)
}

// Forget removes the record; call it when everything of the executor is gone.
func (a *Abandoned) Forget() error { return errors.Join(os.Remove(a.path), flock.Release(a.file)) }

// Release leaves the record to a later reaper.
func (a *Abandoned) Release() error { return flock.Release(a.file) }
