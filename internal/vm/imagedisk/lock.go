package imagedisk

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// How often a lock that others hold is tried again: quickly at first.
const (
	firstRetry = 2 * time.Millisecond
	lastRetry  = 250 * time.Millisecond
)

// errLocked says that others hold a lock.
var errLocked = syscall.EWOULDBLOCK

// lock is a locked file. The kernel drops it with the process.
type lock struct{ file *os.File }

// take waits for the lock on path, which it makes when missing. How is LOCK_SH or LOCK_EX.
func take(ctx context.Context, path string, how int) (*lock, error) {
	wait := firstRetry
	for {
		l, err := try(path, how)
		if !errors.Is(err, errLocked) {
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

// try takes a lock or returns errLocked.
func try(path string, how int) (*lock, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		l := &lock{file}
		if err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB); err != nil {
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

// release gives the lock back. A child that is just being started can hold the file open a moment longer, but not the lock.
func (l *lock) release() error {
	return errors.Join(syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.file.Close())
}
