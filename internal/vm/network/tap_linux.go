package network

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/fault"
)

const (
	tunDevice = "/dev/net/tun"
	tapFlags  = unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR
)

// createTap makes a tap, which must be new.
func createTap(name string) (*os.File, error) {
	file, err := openTap(name, tapFlags|unix.IFF_TUN_EXCL)
	if err != nil {
		return nil, fmt.Errorf("making tap %s: %w", name, err)
	}
	return file, nil
}

// openTap opens a tap by name. The file is non-blocking, and reads and writes whole frames, each behind a virtio-net header of 10 bytes.
func openTap(name string, flags uint16) (*os.File, error) {
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, tunError(err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(flags)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return nil, errors.Join(tunError(err), unix.Close(fd))
	}
	// Only now: the runtime's poller can't wait for a file that isn't a device yet.
	return os.NewFile(uintptr(fd), tunDevice), nil
}

func tunError(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fault.Operatorf("%s can't be opened (%w): load the kernel module tun with \"modprobe tun\"; in a container, pass the device in",
			tunDevice, err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fault.Operatorf("%s: %w: the executor has to be root or have CAP_NET_ADMIN", tunDevice, err)
	}
	return fmt.Errorf("%s: %w", tunDevice, err)
}

// persist makes a tap stay when its file is closed, and root's: without an owner anybody might open it.
func persist(file *os.File) error {
	return control(file, func(fd int) error {
		if err := unix.IoctlSetInt(fd, unix.TUNSETOWNER, 0); err != nil {
			return fmt.Errorf("giving the tap to root: %w", err)
		}
		if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1); err != nil {
			return fmt.Errorf("making the tap stay: %w", err)
		}
		return nil
	})
}

// SetOwner lets a user, by uid, open the tap of a link that was made with Options.Persistent. Nobody else but root can then.
func (l *Link) SetOwner(uid int) error {
	if l.Tap != nil || uid < 0 {
		return fmt.Errorf("giving tap %s to uid %d: only a tap that stays has an owner, and that is a user", l.Name, uid)
	}
	file, err := openTap(l.Name, tapFlags)
	if err != nil {
		return fmt.Errorf("giving tap %s to uid %d: %w", l.Name, uid, err)
	}
	defer file.Close()
	err = control(file, func(fd int) error {
		request, err := unix.NewIfreq(l.Name)
		if err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, unix.TUNGETIFF, request); err != nil {
			return err
		}
		if request.Uint16()&unix.IFF_PERSIST == 0 {
			return errors.New("it is gone") // this one is new, and ends with the file
		}
		return unix.IoctlSetInt(fd, unix.TUNSETOWNER, uid)
	})
	if err != nil {
		return fmt.Errorf("giving tap %s to uid %d: %w", l.Name, uid, err)
	}
	return nil
}

func control(file *os.File, do func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	return errors.Join(raw.Control(func(fd uintptr) { err = do(int(fd)) }), err)
}
