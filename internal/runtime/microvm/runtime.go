// Package microvm runs each job in a virtual machine of its own. A machine boots a kernel straight into the guest agent (internal/vm/guest);
// the job's files lie on a disk of its own, and each step's image is a read-only disk that the host made once (internal/vm/imagedisk).
package microvm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/imagedisk"
	"github.com/open-executor/executor/internal/vm/network"
)

// EngineName is the owner.Record's Engine of executors with this runtime.
const EngineName = "microvm"

// Images makes disks of images; *imagedisk.Store is one.
type Images interface {
	Get(ctx context.Context, ref string, auth api.DockerAuthConfig) (*imagedisk.Disk, error)
	GetTrusted(ctx context.Context, ref string, auth api.DockerAuthConfig) (*imagedisk.Disk, error)
}

// Networks connects machines; *network.Network is one.
type Networks interface {
	Attach(ctx context.Context) (*network.Link, error)
	Verify(ctx context.Context) (mended bool, err error)
}

// Runtime is the microVM runtime.
type Runtime struct {
	logger   log.Logger
	driver   vm.Driver
	images   Images
	networks Networks
	claim    *owner.Claim
	options  Options
	pool     *pool

	keeping sync.Mutex
	// kept are machines whose jobs are over.
	kept map[*machine]bool
	// ending are those that somebody ends.
	ending sync.WaitGroup

	preparing sync.Mutex
	// root is the guest's own root, blank an empty disk of the same size; nil before the first machine.
	root  *imagedisk.Disk
	blank *os.File
}

var _ runtime.Runtime = (*Runtime)(nil)

// New returns a runtime that starts machines by driver. Networks is nil for machines without a network. Leftovers of dead executors are found by
// the records beside claim's. The caller closes the runtime, then what it was given.
func New(logger log.Logger, driver vm.Driver, images Images, networks Networks, claim *owner.Claim, options Options) (*Runtime, error) {
	options, err := options.validated()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fault.Operatorf("the directory of microVMs can't be made: %w (EXECUTOR_VM_DIR)", err)
	}
	r := &Runtime{logger: logger.Scoped("microvm"), driver: driver, images: images, networks: networks, claim: claim, options: options, kept: map[*machine]bool{}}
	r.pool = newPool(r.logger, options.Pool, r.startMachine)
	return r, nil
}

// Capabilities implements runtime.Runtime.
func (*Runtime) Capabilities() runtime.Capabilities {
	return runtime.Capabilities{Kind: runtime.Firecracker, StepPrefix: "step.docker.", Isolated: true, Limits: true}
}

// Reap implements runtime.Runtime. It also puts the egress policy back when somebody has removed it, and replaces machines of the pool that
// have died.
func (r *Runtime) Reap(ctx context.Context) (int, error) {
	removed, err := r.claim.Sweep(ctx, owner.Engine{Name: EngineName, Remove: network.Remove})
	if r.options.Sweep != nil {
		err = errors.Join(err, r.options.Sweep(ctx, func(name string) bool {
			_, err := os.Lstat(filepath.Join(r.options.Dir, name))
			return !errors.Is(err, fs.ErrNotExist)
		}))
	}
	if r.networks != nil {
		_, verifyErr := r.networks.Verify(ctx)
		err = errors.Join(err, verifyErr)
	}
	dead, poolErr := r.pool.weed()
	r.pool.fill()
	return removed + dead, errors.Join(err, poolErr)
}

// Close ends the machines of the pool and those that were kept. Sessions must be closed before.
func (r *Runtime) Close() error {
	err := errors.Join(r.pool.close(), r.endKept())
	r.ending.Wait()
	r.preparing.Lock()
	defer r.preparing.Unlock()
	if r.root != nil {
		err = errors.Join(err, r.root.Close(), r.blank.Close())
		r.root = nil
	}
	return err
}

// keep leaves a machine running.
func (r *Runtime) keep(m *machine) {
	r.keeping.Lock()
	defer r.keeping.Unlock()
	r.kept[m] = true
}

// end ends a machine that was kept, or that a job still runs in.
func (r *Runtime) end(m *machine) {
	r.keeping.Lock()
	kept := r.kept[m]
	delete(r.kept, m)
	r.keeping.Unlock()
	err := m.instance.Close()
	if kept {
		err = errors.Join(err, m.close())
	}
	if err != nil {
		r.logger.Error("ending a microVM failed", log.String("name", m.name), log.Error(err))
	}
}

func (r *Runtime) endKept() error {
	r.keeping.Lock()
	kept := slices.Collect(maps.Keys(r.kept))
	clear(r.kept)
	r.keeping.Unlock()
	return closeAll(kept)
}

// prepare gets the guest's root, once for all machines, and makes the empty disk that stands in for images.
func (r *Runtime) prepare(ctx context.Context) error {
	r.preparing.Lock()
	defer r.preparing.Unlock()
	if r.root != nil {
		return nil
	}
	root, err := r.images.GetTrusted(ctx, r.options.Root, r.options.RootAuth)
	if err != nil {
		return fmt.Errorf("the guest's root (EXECUTOR_FIRECRACKER_IMAGE): %w", err)
	}
	info, err := root.File.Stat()
	if err == nil {
		r.blank, err = blankFile(r.options.Dir, info.Size())
	}
	if err != nil {
		return errors.Join(err, root.Close())
	}
	r.root = root
	return nil
}

// blankFile opens a file that has nothing but a size, to be read only. It has a name, by which Firecracker's jails get it, stays for all executors
// that come, and takes no room.
func blankFile(dir string, size int64) (*os.File, error) {
	path := filepath.Join(dir, fmt.Sprintf(".blank-%d", size))
	file, err := os.Open(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	making, err := os.CreateTemp(dir, ".making-*")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(making.Truncate(size), making.Chmod(0o444), making.Close(), os.Rename(making.Name(), path)); err != nil {
		return nil, errors.Join(err, os.Remove(making.Name()))
	}
	return os.Open(path)
}
