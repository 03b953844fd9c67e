package imagedisk

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/open-executor/executor/internal/flock"
)

// sweep removes the directories of makers that are gone, and disks without a record.
func (s *Store) sweep() error {
	entries, err := os.ReadDir(s.options.Dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		name := entry.Name()
		temp, isLock := strings.CutSuffix(name, lockFile)
		key, isDisk := strings.CutSuffix(name, diskFile)
		switch {
		case isLock && strings.HasPrefix(name, tempPrefix):
			errs = append(errs, s.sweepTemp(temp))
		case isDisk:
			if _, err := os.Lstat(s.path(key, recordFile)); errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, s.evictOne(key, func() bool {
					// It may have got one before the locks were taken.
					_, err := os.Lstat(s.path(key, recordFile))
					return errors.Is(err, fs.ErrNotExist)
				}))
			}
		}
	}
	return errors.Join(errs...)
}

func (s *Store) sweepTemp(name string) error {
	path := s.path(name, "")
	l, err := try(path+lockFile, flock.Exclusive)
	if errors.Is(err, flock.ErrHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(path), os.Remove(path+lockFile), l.release())
}

// kept is a disk in the store.
type kept struct {
	key   string
	bytes int64
	used  time.Time
}

// evict removes disks that nobody uses, the longest unused first, until the rest is small enough. The one with the key stays.
func (s *Store) evict(key string) error {
	all, total, err := s.list()
	if err != nil {
		return err
	}
	var errs []error
	for _, k := range all {
		if total <= s.options.MaxBytes {
			break
		}
		if k.key == key {
			continue
		}
		gone := false
		errs = append(errs, s.evictOne(k.key, func() bool { gone = true; return true }))
		if gone {
			total -= k.bytes
		}
	}
	return errors.Join(errs...)
}

// list returns the disks, the longest unused first, and the bytes that they take.
func (s *Store) list() ([]kept, int64, error) {
	entries, err := os.ReadDir(s.options.Dir)
	if err != nil {
		return nil, 0, err
	}
	var all []kept
	var total int64
	for _, entry := range entries {
		key, ok := strings.CutSuffix(entry.Name(), diskFile)
		if !ok {
			continue
		}
		// What another process removes meanwhile doesn't count.
		info, err := os.Lstat(s.path(key, diskFile))
		if err != nil {
			continue
		}
		k := kept{key: key, used: info.ModTime()}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			k.bytes = int64(stat.Blocks) * 512
		}
		if lock, err := os.Lstat(s.path(key, lockFile)); err == nil {
			k.used = lock.ModTime()
		}
		all = append(all, k)
		total += k.bytes
	}
	slices.SortFunc(all, func(a, b kept) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.key, b.key)) })
	return all, total, nil
}

// evictOne removes a disk that nobody uses or makes, if sure says so once that is certain.
func (s *Store) evictOne(key string, sure func() bool) (err error) {
	making, err := try(s.path(key, makingFile), flock.Exclusive)
	if errors.Is(err, flock.ErrHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, making.release()) }()
	users, err := try(s.path(key, lockFile), flock.Exclusive)
	if errors.Is(err, flock.ErrHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, users.release()) }()
	if !sure() {
		return nil
	}
	err = s.remove(key)
	return errors.Join(err, os.Remove(s.path(key, lockFile)), os.Remove(s.path(key, makingFile)))
}
