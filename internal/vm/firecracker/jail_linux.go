package firecracker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/owner"
)

// jail is the directory of one machine.
//
// Files come in as hard links, which cost nothing and need no mount. A link shares its file's owner and mode, so:
//   - A read-only file may be many machines', and is left as it is: everybody must be allowed to read it (mode 0444). What keeps others from
//     it are the directories, both its own and the jail's, that are closed to all but root.
//   - A file to be written to is this machine's alone: it is the machine's uid's until the machine has ended or has it no longer.
type jail struct {
	dir string
	uid int
	// root is the open directory that is the monitor's root.
	root *os.File
	host host

	mu sync.Mutex
	// lent are the writable files by their names in the jail; nil once the jail is removed.
	lent map[string]loan
}

// loan is a file that has another owner for now.
type loan struct {
	file     *os.File
	uid, gid int
}

// newJail makes the directory, which must be new. On error nothing is left.
func newJail(dir string, uid int, host host) (_ *jail, err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, fmt.Errorf("making the jail: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the jail: %w", err) // another machine's: it stays
	}
	root := filepath.Join(dir, "root")
	j := &jail{dir: dir, uid: uid, host: host, lent: map[string]loan{}}
	if err = os.Mkdir(root, 0o700); err == nil {
		j.root, err = os.Open(root)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making the jail: %w", err), owner.RemoveTree(dir))
	}
	return j, nil
}

// link puts a file into the jail's root. The jail keeps no use of the caller's descriptor.
func (j *jail) link(file *os.File, name string, readOnly bool) error {
	stat, err := j.fit(file, readOnly)
	if err != nil {
		return err
	}
	if err := j.linkAs(file, name); err != nil {
		if errors.Is(err, unix.EXDEV) {
			return fault.Operatorf("%s can't be linked into the jail %s (%w): both have to be on one file system, and one mount of it",
				file.Name(), j.dir, err)
		}
		return fmt.Errorf("linking %s into the jail: %w", file.Name(), err)
	}
	if readOnly {
		return nil
	}
	return j.lend(file, name, stat)
}

// fit checks that the monitor can use a file.
func (j *jail) fit(file *os.File, readOnly bool) (*syscall.Stat_t, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", file.Name())
	}
	if readOnly && info.Mode().Perm()&0o004 == 0 && !j.host.owns(info, j.uid) {
		return nil, fault.Operatorf("%s has the mode %#o, so the machine's user %d may not read it: let everybody (chmod o+r), and close its directory to them",
			file.Name(), info.Mode().Perm(), j.uid)
	}
	return stat, nil
}

// linkAs makes a hard link to an open file.
func (j *jail) linkAs(file *os.File, name string) error {
	return j.at(func(root int) error {
		return withFD(file, func(fd int) error {
			return unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), root, name, unix.AT_SYMLINK_FOLLOW)
		})
	})
}

func (j *jail) lend(file *os.File, name string, stat *syscall.Stat_t) error {
	var fd int
	err := withFD(file, func(old int) (err error) {
		fd, err = unix.FcntlInt(uintptr(old), unix.F_DUPFD_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return err
	}
	l := loan{os.NewFile(uintptr(fd), file.Name()), int(stat.Uid), int(stat.Gid)}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.lent == nil {
		return errors.Join(errEnded, l.file.Close())
	}
	j.lent[name] = l
	if err := j.host.chown(l.file, j.uid, j.uid); err != nil {
		return fmt.Errorf("giving %s to the machine's user: %w", file.Name(), err)
	}
	return nil
}

// takeOut removes a file from the jail, which the monitor has open no longer, and gives it back to its owner.
func (j *jail) takeOut(name string) error {
	err := j.at(func(root int) error { return unix.Unlinkat(root, name, 0) })
	j.mu.Lock()
	l, ok := j.lent[name]
	delete(j.lent, name)
	j.mu.Unlock()
	if ok {
		err = errors.Join(err, l.end(j.host))
	}
	if err != nil {
		return fmt.Errorf("taking %s out of the jail: %w", name, err)
	}
	return nil
}

func (l loan) end(host host) error {
	return errors.Join(host.chown(l.file, l.uid, l.gid), l.file.Close())
}

// copyIn puts a file that is only read into the jail: a link where that does, else a copy.
func (j *jail) copyIn(path, name string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	if _, err := j.fit(from, true); err == nil && j.linkAs(from, name) == nil {
		return nil
	}
	to, err := j.open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o444)
	if err != nil {
		return fmt.Errorf("copying %s into the jail: %w", path, err)
	}
	_, err = io.Copy(to, from)
	// The process's umask may have taken rights away.
	if err = errors.Join(err, to.Chmod(0o444), to.Close()); err != nil {
		return fmt.Errorf("copying %s into the jail: %w", path, err)
	}
	return nil
}

// open opens something in the jail, following no symlink: the monitor could have made one to a file or socket of the host's.
func (j *jail) open(name string, flags uint64, mode uint64) (*os.File, error) {
	var fd int
	err := j.at(func(root int) (err error) {
		fd, err = unix.Openat2(root, name, &unix.OpenHow{
			Flags: flags | unix.O_CLOEXEC, Mode: mode, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
		})
		return err
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(j.dir, "root", name), Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// dial connects to a socket that the monitor has made. The way over a descriptor also spares it the limit on a socket's path.
func (j *jail) dial(ctx context.Context, name string) (net.Conn, error) {
	socket, err := j.open(name, unix.O_PATH, 0)
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	info, err := socket.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Type() != fs.ModeSocket || !j.host.owns(info, j.uid) {
		return nil, fmt.Errorf("%s in the jail is not the monitor's socket but %s", name, info.Mode())
	}
	var dialer net.Dialer
	var conn net.Conn
	err = withFD(socket, func(fd int) (err error) {
		conn, err = dialer.DialContext(ctx, "unix", "/proc/self/fd/"+strconv.Itoa(fd))
		return err
	})
	return conn, err
}

// remove takes the whole directory away; all processes in it must have ended.
func (j *jail) remove() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var err error
	for _, l := range j.lent {
		err = errors.Join(err, l.end(j.host))
	}
	j.lent = nil
	return errors.Join(err, j.root.Close(), owner.RemoveTree(j.dir))
}

func (j *jail) at(do func(root int) error) error { return withFD(j.root, do) }

// withFD lends a file's descriptor, which stays open meanwhile.
func withFD(file *os.File, do func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	return errors.Join(raw.Control(func(fd uintptr) { err = do(int(fd)) }), err)
}
