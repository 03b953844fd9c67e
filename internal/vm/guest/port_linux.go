package guest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// PortName is the name of the virtio-serial port, VsockPort the port of the socket, by which the host is reached.
const (
	PortName  = "open-executor.agent"
	VsockPort = 1024
)

// OpenChannel opens the way to the host, whichever this machine has.
func OpenChannel() (io.ReadWriteCloser, error) {
	var conn io.ReadWriteCloser
	err := poll(appear, func() (retry bool, err error) {
		if conn, err = openPort("/sys/class/virtio-ports", "/dev"); conn == nil && err == nil {
			conn, err = acceptVsock()
		}
		return conn == nil && err == nil, err
	})
	if conn == nil && err == nil {
		err = fmt.Errorf("there is neither a virtio-serial port %q nor a vsock device after %s", PortName, appear)
	}
	return conn, err
}

// openPort opens the port with our name; nil when there is none.
func openPort(class, dev string) (io.ReadWriteCloser, error) {
	names, err := filepath.Glob(filepath.Join(class, "*", "name"))
	if err != nil {
		return nil, err
	}
	for _, file := range names {
		name, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(string(name)) != PortName {
			continue
		}
		// The descriptor blocks: a port answers a read without waiting as long as nobody is connected.
		path := filepath.Join(dev, filepath.Base(filepath.Dir(file)))
		if err := awaitFile(path); err != nil {
			return nil, err
		}
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("opening %s: %w", path, err)
		}
		return os.NewFile(uintptr(fd), path), nil
	}
	return nil, nil
}

// acceptVsock waits for the host's connection; nil when the machine has no such device.
func acceptVsock() (io.ReadWriteCloser, error) {
	if _, err := os.Stat("/dev/vsock"); err != nil {
		return nil, nil
	}
	listening, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("vsock: %w", err)
	}
	defer func() { _ = unix.Close(listening) }()
	if err := unix.Bind(listening, &unix.SockaddrVM{CID: unix.VMADDR_CID_ANY, Port: VsockPort}); err != nil {
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			return nil, nil
		}
		return nil, fmt.Errorf("vsock: %w", err)
	}
	if err := unix.Listen(listening, 1); err != nil {
		return nil, fmt.Errorf("vsock: %w", err)
	}
	for {
		fd, _, err := unix.Accept4(listening, unix.SOCK_CLOEXEC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("vsock: %w", err)
		}
		return os.NewFile(uintptr(fd), "vsock"), nil
	}
}
