// Package flock locks open files against other processes (flock(2)). The kernel drops a lock with the process that holds it.
package flock

import (
	"errors"
	"os"
	"syscall"
)

// ErrHeld says that others hold the lock.
var ErrHeld = syscall.EWOULDBLOCK

// Mode is how a lock is held: by one, or by any number beside each other.
type Mode int

// The modes.
const (
	Exclusive Mode = syscall.LOCK_EX
	Shared    Mode = syscall.LOCK_SH
)

// Try locks the file without waiting; the error is ErrHeld when others hold it.
func Try(file *os.File, mode Mode) error {
	for {
		err := syscall.Flock(int(file.Fd()), int(mode)|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// Release gives the lock up and closes the file. Closing alone would not free it while a child process that is just being started, and has
// not yet run its program, still has the file open.
func Release(file *os.File) error {
	return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
}
