package imagedisk

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/open-executor/executor/internal/flock"
)

// How often a lock that others hold is tried again: quickly at first.
const (
	firstRetry = 2 * time.Millisecond
	lastRetry  = 250 * time.Millisecond
)

// lock is a locked file. The kernel drops it with the process.
type lock struct{ file *os.File }

// take waits for the lock on path, which it makes when missing.
func take(ctx context.Context, path string, mode flock.Mode) (*lock, error) {
	wait := firstRetry
	for {
		l, err := try(path, mode)
		if !errors.Is(err, flock.ErrHeld) {
			return l, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		}
		wait = min(2*wait, lastRetry)
	}
}

// try takes a lock or returns flock.ErrHeld.
func try(path string, mode flock.Mode) (*lock, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		l := &lock{file}
		if err := flock.Try(file, mode); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		// Whoever held it before may have removed the file: then the lock on it says nothing.
		locked, err := file.Stat()
		if err != nil {
			return nil, errors.Join(err, l.release())
		}
		present, err := os.Lstat(path)
		if err == nil && os.SameFile(locked, present) {
			return l, nil
		}
		if closeErr := l.release(); closeErr != nil || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, closeErr)
		}
	}
}

// release gives the lock back.
func (l *lock) release() error { return flock.Release(l.file) }
