// Package vm is the boundary between what a microVM is for and the monitor that runs it. The drivers live in packages of their own below
// this one, beside what goes into a machine: its guest agent, its disks, its network.
package vm

import (
	"context"
	"io"
	"net"
	"os"

	"github.com/open-executor/executor/internal/vm/network"
)

// Machine is what a driver is to start. It is plain data.
type Machine struct {
	// Name is unique on this host: letters, digits and hyphens, at most 60 bytes.
	Name string
	// CPUs is the number of virtual CPUs, at least one.
	CPUs int
	// Memory is the guest's memory in bytes.
	Memory int64
	// Kernel is an ELF image (vmlinux). Initramfs is a cpio archive whose /init is the guest agent.
	Kernel, Initramfs string
	// Arguments are added to the kernel's command line.
	Arguments []string
	// Drives become /dev/vda, /dev/vdb, … in this order.
	Drives []Drive
	// Link is the guest's network; nil for none.
	Link *network.Link
	// Env holds NAME=value pairs for the monitor's process, by which leftovers are found.
	Env []string
}

// Drive is a block device of the guest.
type Drive struct {
	// File backs the drive. The driver duplicates what it keeps: the caller may close it once Start or Swap has returned.
	File     *os.File
	ReadOnly bool
}

// Driver starts machines. Safe for concurrent use.
type Driver interface {
	// Start starts a machine and returns once its monitor runs; the guest is still booting then. The end of ctx afterwards does not end the
	// machine. On error nothing is left behind, and the error says at which stage it failed.
	Start(ctx context.Context, machine Machine) (Instance, error)
}

// Instance is a machine that was started. Safe for concurrent use.
type Instance interface {
	// Channel is the connection to the guest agent. What comes out of it is the guest's, and hostile.
	Channel() net.Conn
	// Swap puts another file behind a drive that the guest doesn't use at the moment: one of the same size and the same ReadOnly. One
	// that has begun goes on when ctx ends: it takes no time, and half of it would be of no use.
	Swap(ctx context.Context, drive int, file *os.File) error
	// Console copies the last output of the guest's console, at most 64 KiB of it.
	Console() []byte
	// Done is closed when the machine has ended and nothing of it is left.
	Done() <-chan struct{}
	// Closer kills the machine at once and waits until nothing of it is left. It may be called more than once.
	io.Closer
}
