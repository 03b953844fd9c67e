package firecracker

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/network"
)

// hasty gives up soon, where giving up is what is tested.
var hasty = timing{request: 300 * time.Millisecond, snapshot: 300 * time.Millisecond, dial: 300 * time.Millisecond, answer: 300 * time.Millisecond}

// stages are all requests of a start.
var stages = []string{
	"PUT /logger", "PUT /machine-config", "PUT /boot-source", "PUT /drives/drive0", "PUT /drives/drive1", "PUT /network-interfaces/network",
	"PUT /vsock", "PUT /entropy", "PUT /actions",
}

func withLink(machine vm.Machine) vm.Machine {
	machine.Link = &network.Link{Name: "exvmtest1", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	return machine
}

func TestAStartThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	patient := r.timing
	for _, stage := range stages {
		_, err := r.Start(t.Context(), withLink(r.machine(t, behavior{Refuse: stage})))
		require.EqualError(t, err, "starting a machine: "+stage+": refused (400 Bad Request): refused on purpose")
		r.requireNothing(t)

		_, err = r.Start(t.Context(), withLink(r.machine(t, behavior{Die: stage})))
		require.ErrorContains(t, err, stage)
		require.ErrorContains(t, err, "it said: dying at "+stage)
		r.requireNothing(t)

		_, err = r.Start(t.Context(), withLink(r.machine(t, behavior{Flood: stage})))
		require.ErrorContains(t, err, stage+": the answer has more than 65536 bytes")
		r.requireNothing(t)

		r.timing = hasty
		_, err = r.Start(t.Context(), withLink(r.machine(t, behavior{Hang: stage})))
		r.timing = patient
		require.ErrorContains(t, err, "the monitor did not answer within 300ms")
		r.requireNothing(t)
	}
}

func TestAMonitorThatDiesEarly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	began := time.Now()
	_, err := r.Start(t.Context(), r.machine(t, behavior{DieEarly: true}))
	require.ErrorIs(t, err, errEnded)
	require.ErrorContains(t, err, "it said: jailer: dying early")
	require.Less(t, time.Since(began), defaultTiming.request, "its end is seen at once")
	r.requireNothing(t)
}

func TestAMonitorWithoutASocket(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, hasty, UIDs{})
	_, err := r.Start(t.Context(), r.machine(t, behavior{NoSocket: true}))
	require.EqualError(t, err, "starting a machine: PUT /logger: the monitor did not answer within 300ms")
	r.requireNothing(t)
}

func TestAStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err := r.Start(ctx, r.machine(t, behavior{}))
	require.ErrorIs(t, err, cause)
	r.requireNothing(t)

	ctx, stop := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, cause)
	defer stop()
	_, err = r.Start(ctx, r.machine(t, behavior{Hang: "PUT /vsock"}))
	require.ErrorIs(t, err, cause)
	r.requireNothing(t)
}

func TestMachinesThatCannotBe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	secret := file(t, "image", os.O_RDONLY)
	require.NoError(t, secret.Chmod(0o600))
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, null.Close()) })
	for name, test := range map[string]struct {
		change func(*vm.Machine)
		says   string
	}{
		"path for a name": {func(m *vm.Machine) { m.Name = "../machine" }, `the name "../machine"`},
		"no CPU":          {func(m *vm.Machine) { m.CPUs = 0 }, "0 CPUs"},
		"no kernel":       {func(m *vm.Machine) { m.Kernel = "/missing" }, "executor install kernel makes it"},
		"no initramfs":    {func(m *vm.Machine) { m.Initramfs = "/missing" }, "executor install kernel makes it"},
		"a device":        {func(m *vm.Machine) { m.Drives[1].File = null }, "is no regular file"},
		"too many CPUs":   {func(m *vm.Machine) { m.CPUs = 33 }, "PUT /machine-config: refused (400 Bad Request): vcpu_count"},
	} {
		machine := r.machine(t, behavior{})
		test.change(&machine)
		_, err := r.Start(t.Context(), machine)
		require.ErrorContains(t, err, test.says, name)
		r.requireNothing(t)
	}
	// Whoever owns the file may always read it; the machine's user must not be that one.
	j := &jail{uid: DefaultUIDs.First, host: realHost("")}
	_, err = j.fit(secret, true)
	require.ErrorContains(t, err, "chmod o+r")
	require.Equal(t, fault.Operator, fault.ClassOf(err))
	_, err = j.fit(secret, false)
	require.NoError(t, err, "what is written to is given to the user")
}

func TestATapThatIsOpenIsRefused(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, ownTap(&network.Link{Name: "exvmtest1", Tap: os.Stdin}, 1), "network.Options.Persistent")
	require.NoError(t, disownTap(&network.Link{Name: "exvmnothere"}), "it is gone")
}

func TestASwapThatFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	machine := r.machine(t, behavior{Refuse: "PATCH /drives/drive1"})
	g := r.start(t, machine)
	disk := file(t, "other disk", os.O_RDWR)
	require.EqualError(t, g.Swap(t.Context(), 1, disk), "swapping drive 1: PATCH /drives/drive1: refused (400 Bad Request): refused on purpose")
	require.Equal(t, "disk", g.read(t, "drive1"), "the old one is still there")
	require.NoFileExists(t, filepath.Join(r.dir, "firecracker-v1.12/machine-1/root/drive1-1"))

	require.ErrorContains(t, g.Swap(t.Context(), 2, disk), "there are 2")
	require.ErrorContains(t, g.Swap(t.Context(), -1, disk), "there are 2")
	require.ErrorContains(t, g.Swap(t.Context(), 0, disk), "read-only: false")
	short := file(t, "x", os.O_RDWR)
	require.NoError(t, short.Truncate(1))
	require.ErrorContains(t, g.Swap(t.Context(), 1, short), "has 1 bytes")
	require.NoError(t, g.Close())
	r.requireNothing(t)
}

// A monitor that a guest has taken over could put links into its jail; the host must not follow them out.
func TestLinksInTheJailAreNotFollowed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	outside := filepath.Join(t.TempDir(), "socket")
	listener, err := net.Listen("unix", outside)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	_, err = r.Start(t.Context(), r.machine(t, behavior{Socket: outside}))
	require.ErrorContains(t, err, "too many levels of symbolic links")
	r.requireNothing(t)
}

// What is left belongs to the uid, which nobody else may have then.
func TestAUserStaysTakenWhileSomethingIsLeft(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, defaultTiming, UIDs{First: DefaultUIDs.First, Count: 1})
	stubborn := errors.New("the tap can't be taken away")
	r.Driver.host.disown = func(*network.Link) error { return stubborn }
	machine := withLink(r.machine(t, behavior{}))
	i, err := r.Start(t.Context(), machine)
	require.NoError(t, err)
	require.ErrorIs(t, i.Close(), stubborn)
	require.ErrorIs(t, i.Close(), stubborn)
	_, err = r.Start(t.Context(), machine)
	require.ErrorContains(t, err, "all of the 1 uids")
	require.NoError(t, i.(*instance).user.release())
	r.requireNothing(t)
}

func TestLeftoversOfDeadMachines(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	g := r.start(t, r.machine(t, behavior{}))
	dead := filepath.Join(r.dir, "firecracker-v1.11", "machine-2")
	require.NoError(t, os.MkdirAll(filepath.Join(dead, "root", "dev"), 0o700))
	group := filepath.Join(r.cgroups, parentCgroup, "machine-2")
	require.NoError(t, os.Mkdir(group, 0o755))
	other := filepath.Join(r.dir, "other", "machine-3")
	require.NoError(t, os.MkdirAll(other, 0o700))
	alive := func(name string) bool { return name == "machine-1" }
	for range 2 {
		require.NoError(t, remove(t.Context(), r.dir, r.cgroups, alive))
		require.NoDirExists(t, dead)
		require.NoDirExists(t, group)
		require.DirExists(t, other)
		require.DirExists(t, filepath.Join(r.dir, "firecracker-v1.12", "machine-1", "root"), "it lives")
	}
	require.Equal(t, "image", g.read(t, "drive0"))
	require.NoError(t, g.Close())
	require.NoError(t, os.RemoveAll(filepath.Dir(other)))
	r.requireNothing(t)
}
