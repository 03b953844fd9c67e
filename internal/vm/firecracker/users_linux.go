package firecracker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/flock"
)

// usersDir is the directory below Options.Dir with a file per uid, which is locked while a machine has it.
const usersDir = "uids"

// UIDs is a range of user ids, and of group ids with the same numbers, that nobody else on this host uses.
type UIDs struct {
	First, Count int
}

// DefaultUIDs lie where neither distributions nor systemd hand out any (https://systemd.io/UIDS-GIDS).
var DefaultUIDs = UIDs{First: 1_900_000_000, Count: 1000}

// users hands out uids. Safe for concurrent use, also by several processes.
type users struct {
	dir  string
	uids UIDs
	next atomic.Int64
}

// user is a uid that one machine has. The lock is handed to the machine's keeper, so that it ends when the last process has ended.
type user struct {
	uid  int
	lock *os.File
}

func newUsers(dir string, uids UIDs) (*users, error) {
	if uids == (UIDs{}) {
		uids = DefaultUIDs
	}
	if uids.First <= 0 || uids.Count <= 0 || uids.First > 1<<31-1-uids.Count {
		return nil, fault.Operatorf("uids of microVMs: %d from %d on: they have to be between 1 and %d", uids.Count, uids.First, 1<<31-1)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Operatorf("the directory for microVMs: %w", err)
	}
	return &users{dir: dir, uids: uids}, nil
}

// lease takes a uid that no living machine has. It goes round the range, so that a uid rests before it is used again.
func (u *users) lease() (*user, error) {
	for range u.uids.Count {
		uid := u.uids.First + int((u.next.Add(1)-1)%int64(u.uids.Count))
		lock, err := os.OpenFile(filepath.Join(u.dir, strconv.Itoa(uid)), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, fmt.Errorf("a uid for the machine: %w", err)
		}
		err = flock.Try(lock, flock.Exclusive)
		if err == nil {
			return &user{uid, lock}, nil
		}
		if err = errors.Join(err, lock.Close()); !errors.Is(err, flock.ErrHeld) {
			return nil, fmt.Errorf("a uid for the machine: %w", err)
		}
	}
	return nil, fault.Operatorf("machines use all of the %d uids from %d on; give them a wider range", u.uids.Count, u.uids.First)
}

func (u *user) release() error { return flock.Release(u.lock) }
