package microvm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/channel"
	"github.com/open-executor/executor/internal/vm/imagedisk"
	"github.com/open-executor/executor/internal/vm/network"
)

// A machine's drives.
const (
	rootDrive = iota
	jobDrive
	firstImageDrive
	// imageDrives are as many as QEMU's microvm has room for beside the other devices. A job with more images than that changes them.
	imageDrives = 3
)

const (
	// bootTime bounds a machine's start until its agent speaks. Without KVM, on a busy host, it takes many seconds.
	bootTime = 3 * time.Minute
	// askTime bounds what the agent answers at once.
	askTime = time.Minute
	// entropyBytes is how much randomness a guest gets from the host.
	entropyBytes = 64
)

// machine is a machine that was started and answers.
type machine struct {
	name     string
	dir      string
	release  func()
	disk     *os.File
	link     *network.Link
	instance vm.Instance
	client   *channel.Client
	// images are the disks behind the image drives; nil for the blank one. Used counts the steps at which each was used last.
	images [imageDrives]*imagedisk.Disk
	used   [imageDrives]int
	// mounted tells of each whether the guest has its present image mounted.
	mounted [imageDrives]bool
	// filled is true once the disk has the job's files, diskMounted once the guest has mounted it.
	filled, diskMounted bool
	steps               int
	// control is nil before the machine has a job.
	control *control
	// configured is when the guest last got time and entropy.
	configured time.Time
}

// stageError says at which stage a machine failed to come up.
type stageError struct {
	stage string
	err   error
	// console is the end of what the guest printed.
	console []byte
}

func (e *stageError) Error() string { return fmt.Sprintf("microVM: %s: %s", e.stage, e.err) }
func (e *stageError) Unwrap() error { return e.err }

// startMachine boots a machine until its agent has answered, and meanwhile makes the file system on its disk: of the files of dir, or an empty one
// when dir is "". On error nothing of it is left, unless the error says so.
func (r *Runtime) startMachine(ctx context.Context, dir string) (_ *machine, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, bootTime, fmt.Errorf("not done after %s", bootTime))
	defer cancel()
	if err := r.prepare(ctx); err != nil {
		return nil, &stageError{stage: "preparing its root disk", err: err}
	}
	m := &machine{name: r.options.Prefix + "-" + uuid.NewString()}
	m.dir = filepath.Join(r.options.Dir, m.name)
	m.release = r.claim.Track(m.dir)
	stage := "making its disk"
	defer func() {
		if err != nil {
			failed := &stageError{stage: stage, err: err}
			if m.instance != nil {
				failed.console = m.instance.Console()
			}
			failed.err = errors.Join(err, m.close())
			err = failed
		}
	}()
	if err := m.makeDisk(r.options.Disk); err != nil {
		return nil, err
	}
	if r.networks != nil {
		stage = "connecting it"
		if m.link, err = r.networks.Attach(ctx); err != nil {
			return nil, err
		}
	}
	stage = "starting its monitor"
	if m.instance, err = r.driver.Start(ctx, r.plan(m)); err != nil {
		return nil, err
	}
	var filling sync.WaitGroup
	var fillErr error
	filled, abandon := context.WithCancel(ctx)
	defer abandon()
	filling.Go(func() { fillErr = m.makeFileSystem(filled, dir) })
	stage = "booting it"
	m.client, err = channel.Connect(ctx, m.instance.Channel(), channel.Timing{})
	if err != nil {
		abandon()
	}
	filling.Wait()
	if err != nil {
		return nil, err
	}
	stage = "filling its disk"
	if fillErr != nil {
		return nil, fillErr
	}
	m.filled = dir != ""
	stage = "setting it up"
	return m, m.configure(ctx)
}

func (m *machine) makeDisk(size int64) error {
	err := os.Mkdir(m.dir, 0o700)
	if err == nil {
		m.disk, err = os.OpenFile(m.diskPath(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return err
	}
	return m.disk.Truncate(size)
}

func (m *machine) diskPath() string { return filepath.Join(m.dir, "disk") }

// plan is the machine as the driver needs it.
func (r *Runtime) plan(m *machine) vm.Machine {
	drives := []vm.Drive{rootDrive: {File: r.root.File, ReadOnly: true}, jobDrive: {File: m.disk}}
	for range imageDrives {
		drives = append(drives, vm.Drive{File: r.blank, ReadOnly: true})
	}
	return vm.Machine{
		Name:      m.name,
		CPUs:      r.options.CPUs,
		Memory:    r.options.Memory + overhead,
		Kernel:    r.options.Kernel,
		Initramfs: r.options.Initramfs,
		Drives:    drives,
		Link:      m.link,
		Env:       []string{owner.Mark(r.claim.Executor())},
	}
}

// ask makes a request that the agent answers at once.
func (m *machine) ask(ctx context.Context, request channel.Request, streams channel.Streams) error {
	ctx, cancel := context.WithTimeoutCause(ctx, askTime, fmt.Errorf("the guest agent did not answer within %s", askTime))
	defer cancel()
	_, err := m.client.Do(ctx, request, streams)
	return err
}

// configure gives the guest its name, its network, the time, and randomness.
func (m *machine) configure(ctx context.Context) error {
	entropy := make([]byte, entropyBytes)
	_, _ = rand.Read(entropy) // it never fails (crypto/rand)
	request := channel.Configure{Hostname: m.name, Time: time.Now(), Entropy: entropy}
	if m.link != nil {
		request.Network = &channel.Network{Address: m.link.Guest, Gateway: m.link.Gateway, DNS: []netip.Addr{m.link.Gateway}, MTU: m.link.MTU}
	}
	m.configured = request.Time
	return m.ask(ctx, channel.Request{Configure: &request}, channel.Streams{})
}

// alive tells whether the machine can take a job.
func (m *machine) alive() bool {
	select {
	case <-m.client.Done():
		return false
	case <-m.instance.Done():
		return false
	default:
		return true
	}
}

// endLost ends a machine whose agent is out of reach: what runs in it would run on. Close tells of what can't be ended.
func (m *machine) endLost() {
	select {
	case <-m.client.Done():
		_ = m.instance.Close()
	default:
	}
}

// close ends the machine and removes all that belongs to it. What can't be removed stays tracked, for a later sweep.
func (m *machine) close() error {
	all := []error{m.control.close()}
	if m.client != nil {
		all = append(all, m.client.Close())
	}
	if m.instance != nil {
		all = append(all, m.instance.Close())
	}
	if m.link != nil {
		all = append(all, m.link.Close())
	}
	for _, disk := range m.images {
		if disk != nil {
			all = append(all, disk.Close())
		}
	}
	if m.disk != nil {
		all = append(all, m.disk.Close())
	}
	err := owner.RemoveTree(m.dir)
	if err == nil {
		m.release()
	}
	return errors.Join(append(all, err)...)
}
