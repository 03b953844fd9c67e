package imagedisk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/open-executor/executor/internal/flock"
)

// Disk is a squashfs in use. While it is open its file stays in the store.
type Disk struct {
	// File is open for reading alone. Its size is Options.Size; the file system is at its beginning.
	File *os.File
	// Digest is that of the image's manifest for the platform.
	Digest string
	// Config is how the image wants to be run.
	Config v1.Config

	lock *lock
}

// Close gives the disk back. It must be called once.
func (d *Disk) Close() error { return errors.Join(d.File.Close(), d.lock.release()) }

// wanted is an image that a source has given out.
type wanted struct {
	digest v1.Hash
	// raw is its manifest, nil when it was not read yet.
	raw    []byte
	source string
	from   blobs
}

// attempts bounds how often a disk is made that others remove before it can be opened.
const attempts = 5

// disk returns the disk of an image whose source has let the caller have it.
func (s *Store) disk(ctx context.Context, w wanted) (*Disk, error) {
	key := s.key(w.digest)
	for range attempts {
		disk, err := s.open(ctx, key, w.source)
		if disk != nil || err != nil {
			return disk, err
		}
		if err := s.flights.do(ctx, key+" "+w.source, func(ctx context.Context) error { return s.ensure(ctx, key, w) }); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("its disk was removed %d times before it could be used; raise the size of the cache in %s", attempts, s.options.Dir)
}

// open returns the disk when it is there, checked, and known to come from that source; else nil.
func (s *Store) open(ctx context.Context, key, source string) (*Disk, error) {
	if _, err := os.Lstat(s.path(key, recordFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	l, err := take(ctx, s.path(key, lockFile), flock.Shared)
	if err != nil {
		return nil, err
	}
	disk, err := s.openLocked(key, source, l)
	if disk == nil {
		err = errors.Join(err, l.release())
	}
	return disk, err
}

func (s *Store) openLocked(key, source string, l *lock) (*Disk, error) {
	record, err := s.record(key)
	if record == nil || err != nil || !slices.Contains(record.Sources, source) {
		return nil, err
	}
	file, err := os.OpenFile(s.path(key, diskFile), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	now, err := identify(file)
	if err != nil || !s.isChecked(key, now) {
		return nil, errors.Join(err, file.Close())
	}
	// The lock's time tells all processes when the disk was last used.
	used := time.Now()
	if err := os.Chtimes(l.file.Name(), used, used); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &Disk{File: file, Digest: record.Digest, Config: record.Config, lock: l}, nil
}

// identity tells a file's content from another's as far as its inode can.
type identity struct {
	device, inode uint64
	size          int64
	modified      int64
}

func identify(file *os.File) (identity, error) {
	info, err := file.Stat()
	if err != nil {
		return identity{}, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}, errors.ErrUnsupported
	}
	return identity{uint64(stat.Dev), stat.Ino, info.Size(), info.ModTime().UnixNano()}, nil
}

func (s *Store) isChecked(key string, now identity) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checked[key] == now
}

func (s *Store) setChecked(key string, now identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checked[key] = now
}
