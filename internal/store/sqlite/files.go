package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/flock"
)

// prepareFile makes the database file with mode 0600 in a directory with mode 0700, where they are missing. A file that others
// may open is refused: it holds secrets. SQLite gives its -wal and -shm files the database's mode.
func prepareFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fault.Operatorf("make the directory or name another one: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fault.Operatorf("the file must be readable and writable for this process: %w", err)
	}
	if err := file.Close(); err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		case !info.Mode().IsRegular():
			return fault.Operatorf("%s is not a regular file: name another one", path+suffix)
		case info.Mode().Perm()&0o077 != 0:
			return fault.Operatorf("%s holds secrets but has mode %04o: run chmod 600 %[1]q", path+suffix, info.Mode().Perm())
		}
	}
	return nil
}

// lockFile takes the lock that makes this process the database's only user: leases are measured by a clock that lives
// in the process. The system frees the lock when the process dies; the file itself stays.
func lockFile(path string) (*fileLock, error) {
	file, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.As(fault.Operator, err)
	}
	if err = flock.Try(file, flock.Exclusive); err == nil {
		return &fileLock{file}, nil
	}
	if errors.Is(err, flock.ErrHeld) {
		err = errors.New("another process has it open: stop that one or name another database")
	}
	return nil, errors.Join(fault.As(fault.Operator, fmt.Errorf("lock: %w", err)), file.Close())
}

// fileLock is a lock that is held.
type fileLock struct{ file *os.File }

// Close frees the lock.
func (l *fileLock) Close() error { return flock.Release(l.file) }
