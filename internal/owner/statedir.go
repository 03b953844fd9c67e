package owner

import (
	"errors"
	"os"
	"syscall"

	"github.com/open-executor/executor/internal/fault"
)

// makeStateDir makes dir with mode 0700 and refuses one that others could write into or have made: its records say which
// directories are deleted.
func makeStateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Operatorf("owner state directory %s can't be made: %w", dir, err)
	}
	return checkStateDir(dir)
}

func checkStateDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fault.Operatorf("owner state directory %s can't be used: %w", dir, err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return errors.ErrUnsupported
	case !info.IsDir():
		return fault.Operatorf("owner state directory %s is not a directory (%s); remove it or choose another", dir, info.Mode().Type())
	case int(stat.Uid) != os.Geteuid():
		return fault.Operatorf("owner state directory %s belongs to user %d, not to %d who runs the executor; remove it or choose another", dir, stat.Uid, os.Geteuid())
	case info.Mode().Perm()&0o077 != 0:
		return fault.Operatorf("owner state directory %s has mode %04o, open to other users; run chmod 700 on it once you know what is in it", dir, info.Mode().Perm())
	}
	return nil
}
