package firecracker

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/channel"
	"github.com/open-executor/executor/internal/vm/network"
)

// testTime bounds what should take no time.
const testTime = 20 * time.Second

// privileged tells whether machines can have a user, a root and a PID namespace of their own here. Where they can't, the same tests run with
// all of these left out.
var privileged = sync.OnceValue(func() bool {
	uid := uint32(DefaultUIDs.First)
	probe := exec.Command("/proc/self/exe", "-test.run=^$")
	probe.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Chroot: "/", Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return os.Geteuid() == 0 && probe.Run() == nil
})

// rig is a driver with a fake for a monitor.
type rig struct {
	*Driver
	dir, log, cgroups string
	// owners has "tap uid" for each change of a tap's owner.
	mu     sync.Mutex
	owners []string
}

func newRig(t *testing.T) *rig { return newRigWith(t, defaultTiming, UIDs{}) }

func newRigWith(t *testing.T, timing timing, uids UIDs) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{dir: filepath.Join(dir, "jails"), log: filepath.Join(dir, "log"), cgroups: filepath.Join(dir, "cgroups")}
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(r.cgroups, 0o755))
	options := Options{Program: filepath.Join(dir, "firecracker-v1.12"), Jailer: filepath.Join(dir, Jailer), Dir: r.dir, UIDs: uids}
	require.NoError(t, os.WriteFile(options.Program, []byte("a program"), 0o755))
	require.NoError(t, os.Symlink(self, options.Jailer)) // the link's name makes it the jailer
	r.Driver, err = newDriver(logtest.Scoped(t), options, func() (host, error) { return r.host(), nil }, timing)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

func (r *rig) host() host {
	h := host{
		kvm: os.DevNull, cgroups: r.cgroups,
		chown:  func(*os.File, int, int) error { return nil },
		owns:   func(fs.FileInfo, int) bool { return true },
		own:    func(link *network.Link, uid int) error { r.owned(link, uid); return nil },
		disown: func(link *network.Link) error { r.owned(link, 0); return nil },
		attributes: func() *syscall.SysProcAttr {
			return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		},
	}
	if privileged() {
		real := realHost(r.cgroups)
		h.chown, h.owns, h.attributes = real.chown, real.owns, real.attributes
	}
	return h
}

func (r *rig) owned(link *network.Link, uid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owners = append(r.owners, link.Name+" "+map[bool]string{true: "root", false: "machine"}[uid == 0])
}

// file makes a file of 4 KiB that begins with some words.
func file(t *testing.T, content string, flags int) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	require.NoError(t, os.Truncate(path, 4<<10))
	f, err := os.OpenFile(path, flags, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

// machine has a read-only drive and one that can be written to.
func (r *rig) machine(t *testing.T, b behavior) vm.Machine {
	t.Helper()
	b.Log, b.Cgroups, b.Privileged = r.log, r.cgroups, privileged()
	mode, err := json.Marshal(b)
	require.NoError(t, err)
	return vm.Machine{
		Name: "machine-1", CPUs: 2, Memory: 256 << 20, Arguments: []string{"extra=1"},
		Kernel: file(t, "kernel", os.O_RDONLY).Name(), Initramfs: file(t, "initramfs", os.O_RDONLY).Name(),
		Drives: []vm.Drive{{File: file(t, "image", os.O_RDONLY), ReadOnly: true}, {File: file(t, "disk", os.O_RDWR)}},
		Env:    []string{owner.Mark("test"), behaviorVariable + "=" + string(mode)},
	}
}

// told is what the fakes have logged.
func (r *rig) told(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile(r.log)
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(content)), "\n")
}

// requireNothing checks that nothing is left of any machine, and that all uids are free.
func (r *rig) requireNothing(t *testing.T) {
	t.Helper()
	for _, dir := range []string{filepath.Join(r.dir, "firecracker-v1.12"), filepath.Join(r.cgroups, parentCgroup)} {
		entries, err := os.ReadDir(dir)
		if !os.IsNotExist(err) {
			require.NoError(t, err)
		}
		require.Empty(t, entries, dir)
	}
	locks, err := os.ReadDir(filepath.Join(r.dir, usersDir))
	require.NoError(t, err)
	for range locks {
		u, err := r.users.lease()
		require.NoError(t, err)
		require.NoError(t, u.release())
	}
	requireNoProcess(t, r.dir)
}

// requireNoProcess checks that no process has a directory among its arguments, as a machine's have.
func requireNoProcess(t *testing.T, dir string) {
	t.Helper()
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, path := range commands {
		command, _ := os.ReadFile(path) // it may have ended meanwhile
		require.NotContains(t, string(command), dir, path)
	}
}

// guest is a running machine with its agent's client.
type guest struct {
	vm.Instance
	client *channel.Client
}

func (r *rig) start(t *testing.T, machine vm.Machine) *guest {
	t.Helper()
	i, err := r.Start(t.Context(), machine)
	require.NoError(t, err)
	return hello(t, i)
}

func hello(t *testing.T, i vm.Instance) *guest {
	t.Helper()
	t.Cleanup(func() { require.NoError(t, i.Close()) })
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	defer cancel()
	client, err := channel.Connect(ctx, i.Channel(), channel.Timing{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return &guest{i, client}
}

// read is what the guest sees at the beginning of a drive.
func (g *guest) read(t *testing.T, drive string) string {
	t.Helper()
	var content strings.Builder
	_, err := g.client.Do(t.Context(), channel.Request{Take: &channel.Take{Path: drive, Limit: 4 << 10}}, channel.Streams{Stdout: &content})
	require.NoError(t, err)
	return strings.TrimRight(content.String(), "\x00")
}

func (g *guest) write(t *testing.T, drive, content string) {
	t.Helper()
	_, err := g.client.Do(t.Context(), channel.Request{Write: &channel.Write{Path: drive}}, channel.Streams{Input: strings.NewReader(content)})
	require.NoError(t, err)
}

func content(t *testing.T, f *os.File) string {
	t.Helper()
	all, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	return strings.TrimRight(string(all), "\x00")
}
