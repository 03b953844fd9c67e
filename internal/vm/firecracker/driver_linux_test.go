package firecracker

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/channel"
	"github.com/open-executor/executor/internal/vm/console"
	"github.com/open-executor/executor/internal/vm/network"
)

func TestAMachinesLife(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	machine := r.machine(t, behavior{Late: 3})
	mac, err := net.ParseMAC("02:00:00:00:00:01")
	require.NoError(t, err)
	machine.Link = &network.Link{Name: "exvmtest1", MAC: mac}
	g := r.start(t, machine)
	require.Equal(t, "image", g.read(t, "drive0"))
	g.write(t, "drive1", "result")
	require.Equal(t, "result", content(t, machine.Drives[1].File))

	image, disk := file(t, "other image", os.O_RDONLY), file(t, "other disk", os.O_RDWR)
	require.NoError(t, g.Swap(t.Context(), 0, image))
	require.NoError(t, g.Swap(t.Context(), 1, disk))
	require.Equal(t, "other image", g.read(t, "drive0"))
	g.write(t, "drive1", "new")
	require.Equal(t, "newer disk", content(t, disk))
	require.Equal(t, "result", content(t, machine.Drives[1].File), "it is behind no drive any more")
	names, err := filepath.Glob(filepath.Join(r.dir, "*", "*", "root", "drive*"))
	require.NoError(t, err)
	require.Len(t, names, 2, "the old files have left the jail: %v", names)

	require.Contains(t, string(g.Console()), "the guest boots")
	require.NoError(t, g.Close())
	require.NoError(t, g.Close())
	<-g.Done()
	r.requireNothing(t)
	require.Equal(t, []string{"exvmtest1 machine", "exvmtest1 root"}, r.owners)
	for _, drive := range []*os.File{machine.Drives[0].File, machine.Drives[1].File, image, disk} {
		info, err := drive.Stat()
		require.NoError(t, err)
		require.True(t, realHost("").owns(info, os.Getuid()), "%s is its owner's again", drive.Name())
	}
	require.ErrorIs(t, g.Swap(t.Context(), 0, image), errEnded)
}

func TestWhatTheMonitorIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	g := r.start(t, r.machine(t, behavior{}))
	told := r.told(t)
	require.Equal(t, []string{
		"PUT /logger", "PUT /machine-config", "PUT /boot-source", "PUT /drives/drive0", "PUT /drives/drive1", "PUT /vsock", "PUT /entropy", "PUT /actions",
		"CONNECT",
	}, told[1:])
	require.Contains(t, told[0], "--cgroup memory.max=404750336 --cgroup pids.max=18 --resource-limit fsize=402653184 --resource-limit no-file=1024")
	require.NotContains(t, told[0], "seccomp")
	require.NotContains(t, told[0], "daemonize")
	require.NoError(t, g.Close())
}

func TestKernelArguments(t *testing.T) {
	t.Parallel()
	words := strings.Fields(kernelArguments(vm.Machine{Arguments: []string{"extra=1"}}))
	for _, word := range []string{"console=ttyS0", "reboot=k", "panic=-1", "rdinit=/init"} {
		require.Contains(t, words, word)
	}
	require.Equal(t, "extra=1", words[len(words)-1])
}

func TestMachinesHaveDifferentUsers(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, defaultTiming, UIDs{First: DefaultUIDs.First, Count: 2})
	first, second := r.machine(t, behavior{}), r.machine(t, behavior{})
	second.Name = "machine-2"
	a, b := r.start(t, first), r.start(t, second)
	var users []string
	for _, line := range r.told(t) {
		if words := strings.Fields(line); words[0] == "jailer" {
			users = append(users, words[slices.Index(words, "--uid")+1])
			require.Equal(t, words[slices.Index(words, "--uid")+1], words[slices.Index(words, "--gid")+1])
		}
	}
	require.Len(t, users, 2)
	require.NotEqual(t, users[0], users[1])

	third := r.machine(t, behavior{})
	third.Name = "machine-3"
	_, err := r.Start(t.Context(), third)
	require.ErrorContains(t, err, "machines use all of the 2 uids")
	require.Equal(t, fault.Operator, fault.ClassOf(err))
	require.NoError(t, a.Close())
	c := r.start(t, third)
	require.NoError(t, b.Close())
	require.NoError(t, c.Close())
	r.requireNothing(t)
}

func TestAMachineIsOnlyOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	machine := r.machine(t, behavior{})
	g := r.start(t, machine)
	_, err := r.Start(t.Context(), machine)
	require.ErrorIs(t, err, os.ErrExist)
	require.Equal(t, "image", g.read(t, "drive0"), "the first one is unharmed")
	require.NoError(t, g.Close())
	r.requireNothing(t)
}

func TestTheEndOfTheGuestIsTheEndOfTheMachine(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	g := r.start(t, r.machine(t, behavior{}))
	call, err := g.client.Start(channel.Request{PowerOff: &channel.PowerOff{}}, channel.Streams{})
	require.NoError(t, err)
	<-g.Done()
	_, err = call.Wait(t.Context())
	require.Error(t, err)
	r.requireNothing(t)
	require.Contains(t, string(g.Console()), "powering off")
	require.NoError(t, g.Close())
}

// The keepers die with the thread that started them, and everything in their namespaces with them.
func TestTheEndOfTheDriverIsTheEndOfItsMachines(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	g := r.start(t, r.machine(t, behavior{}))
	r.thread.Close()
	<-g.Done()
	r.requireNothing(t)
}

func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	g := r.start(t, r.machine(t, behavior{Chatter: 1 << 20}))
	require.NoError(t, g.Close())
	require.Len(t, g.Console(), console.Size)
}

func TestWhatIsMissingIsTheOperatorsToMend(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	program, notNamed := r.program, filepath.Join(t.TempDir(), "monitor")
	require.NoError(t, os.WriteFile(notNamed, nil, 0o755))
	open := t.TempDir()
	require.NoError(t, os.Chmod(open, 0o777))
	for name, test := range map[string]struct {
		options Options
		kvm     string
		says    string
	}{
		"no firecracker": {Options{Program: "/missing/firecracker"}, os.DevNull, "executor install firecracker"},
		"no jailer":      {Options{Program: program, Jailer: "/missing/jailer"}, os.DevNull, "executor install firecracker"},
		"another name":   {Options{Program: notNamed, Jailer: program}, os.DevNull, "in its file name"},
		"no KVM":         {Options{Program: program, Jailer: program}, "/missing/kvm", "Firecracker needs KVM"},
		"relative dir":   {Options{Program: program, Jailer: program, Dir: "jails"}, os.DevNull, "an absolute path"},
		"everybody's":    {Options{Program: program, Jailer: program, Dir: open}, os.DevNull, "chmod go-w"},
		"uids":           {Options{Program: program, Jailer: program, UIDs: UIDs{First: 0, Count: 5}}, os.DevNull, "uids of microVMs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := r.host()
			h.kvm = test.kvm
			if test.options.Dir == "" {
				test.options.Dir = filepath.Join(t.TempDir(), "jails")
			}
			_, err := newDriver(logtest.Scoped(t), test.options, func() (host, error) { return h, nil }, defaultTiming)
			require.ErrorContains(t, err, test.says)
			require.Equal(t, fault.Operator, fault.ClassOf(err))
		})
	}
}

func TestNewFirstLooksForThePrograms(t *testing.T) {
	t.Parallel()
	_, err := New(logtest.Scoped(t), Options{Program: "/missing/firecracker", Dir: t.TempDir()})
	require.ErrorContains(t, err, "Firecracker is not installed")
	require.ErrorContains(t, err, "executor install firecracker")
}

func TestJailsNeedDevicesAndPrograms(t *testing.T) {
	t.Parallel()
	for _, flag := range []int64{unix.ST_NODEV, unix.ST_NOEXEC} {
		err := checkFlags("/jails", flag|unix.ST_RELATIME)
		require.ErrorContains(t, err, "nodev or noexec")
		require.Equal(t, fault.Operator, fault.ClassOf(err))
	}
	require.NoError(t, checkFlags("/jails", unix.ST_RELATIME|unix.ST_NOSUID))
	require.ErrorIs(t, checkMount("/missing"), os.ErrNotExist)
}
