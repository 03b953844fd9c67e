package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Swapping is what drivers share of Instance.Swap. It is locked while a drive gets another file.
type Swapping struct{ sync.Mutex }

// Do carries out the swap of one of a machine's drives. What has begun is carried out whatever becomes of ctx, since half a swap would leave nobody
// knowing what stands behind the drive: each request of swap needs a bound of its own.
func (s *Swapping) Do(ctx context.Context, drive, drives int, swap func(ctx context.Context) error) error {
	s.Lock()
	defer s.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if drive < 0 || drive >= drives {
		return fmt.Errorf("swapping drive %d: there are %d", drive, drives)
	}
	if err := swap(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("swapping drive %d: %w", drive, err)
	}
	return nil
}

// IsReadOnly tells how a file was opened.
func IsReadOnly(file *os.File) (readOnly bool, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return false, fmt.Errorf("%s: %w", file.Name(), err)
	}
	controlErr := raw.Control(func(fd uintptr) {
		var flags int
		flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0)
		readOnly = flags&unix.O_ACCMODE == unix.O_RDONLY
	})
	if err := errors.Join(controlErr, err); err != nil {
		return false, fmt.Errorf("%s: %w", file.Name(), err)
	}
	return readOnly, nil
}
