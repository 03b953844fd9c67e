//go:build !linux

package network

import (
	"context"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/fault"
)

var errLinux = fault.Operatorf("networks of machines need Linux")

// Network is an executor's policy and the links of its machines, on Linux.
type Network struct{}

// Allowed fails as New does.
func Allowed() error { return errLinux }

// New fails with an operator error.
func New(context.Context, log.Logger, Options) (*Network, error) { return nil, errLinux }

// Attach fails as New does.
func (*Network) Attach(context.Context) (*Link, error) { return nil, errLinux }

// Verify fails as New does.
func (*Network) Verify(context.Context) (bool, error) { return false, errLinux }

// Close does nothing.
func (*Network) Close(context.Context) error { return nil }

// SetOwner fails as New does.
func (*Link) SetOwner(int) error { return errLinux }

// Remove finds nothing.
func Remove(context.Context, string) (int, error) { return 0, nil }
