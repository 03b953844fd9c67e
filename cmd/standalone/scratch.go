package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/flock"
)

const (
	scratchPattern = "standalone-*"
	// scratchMark is a file in a scratch directory. Who has it locked owns the directory; its content says that nobody else
	// made the directory, under a name like ours.
	scratchMark = "owner"
	scratchNote = "The directory of one run of standalone. Whoever finds this file unlocked may remove the directory.\n"
)

// scratch is the directory of one run, with the job and its secrets in it. The next run removes those whose process was killed.
type scratch struct {
	dir  string
	mark *os.File
}

// newScratch removes what killed runs left in parent, and makes a new directory there.
func newScratch(parent string) (*scratch, error) {
	if err := removeAbandoned(parent); err != nil {
		log.Scoped("standalone").Warn("removing what a killed run left failed", log.String("directory", parent), log.Error(err))
	}
	dir, err := os.MkdirTemp(parent, scratchPattern)
	if err != nil {
		return nil, err
	}
	s := &scratch{dir: dir}
	s.mark, err = os.OpenFile(filepath.Join(dir, scratchMark), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = flock.Try(s.mark, flock.Exclusive)
	}
	if err == nil {
		// Only now: a mark that says nothing yet is nobody's to remove.
		_, err = s.mark.WriteString(scratchNote)
	}
	if err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// remove removes the directory and gives up the lock, in this order.
func (s *scratch) remove() error {
	err := os.RemoveAll(s.dir)
	if s.mark != nil {
		err = errors.Join(err, s.mark.Close())
	}
	return err
}

// removeAbandoned removes this user's scratch directories in parent that no process holds.
func removeAbandoned(parent string) error {
	// The root keeps removals in parent, also when somebody puts symlinks there meanwhile.
	root, err := os.OpenRoot(parent)
	if err != nil {
		return err
	}
	defer root.Close()
	names, err := fs.Glob(root.FS(), scratchPattern)
	if err != nil {
		return err
	}
	var failures []error
	for _, name := range names {
		if mark := abandoned(root, name); mark != nil {
			failures = append(failures, root.RemoveAll(name), mark.Close())
		}
	}
	return errors.Join(failures...)
}

// abandoned returns the locked mark of a directory that is ours and that nobody holds, else nil.
func abandoned(root *os.Root, name string) *os.File {
	mark, err := root.OpenFile(filepath.Join(name, scratchMark), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	info, err := mark.Stat()
	if err == nil && info.Mode().IsRegular() && info.Size() == int64(len(scratchNote)) && ownedByUs(info) &&
		flock.Try(mark, flock.Exclusive) == nil {
		if note, err := io.ReadAll(mark); err == nil && string(note) == scratchNote {
			return mark
		}
	}
	_ = mark.Close()
	return nil
}

func ownedByUs(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
