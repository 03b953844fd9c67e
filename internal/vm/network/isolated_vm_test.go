//go:build vm

package network

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const isolatedVariable = "NETWORK_TEST_ISOLATED"

// isolated runs the test again in a process with a network namespace of its own, which plays the host, and returns false in the process
// that does so: a test then returns. In the new one it returns true. These tests need root.
func isolated(t *testing.T) bool {
	t.Helper()
	if os.Getenv(isolatedVariable) == t.Name() {
		up(t, "lo")
		return true
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), isolatedVariable+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	output, err := cmd.CombinedOutput()
	t.Logf("%s", output)
	require.NoError(t, err)
	require.Contains(t, string(output), "--- PASS: "+t.Name(), "it ran")
	return false
}

// space is another network namespace: a machine's, or the outside.
type space struct{ file *os.File }

func newSpace(t *testing.T) space {
	t.Helper()
	var s space
	onThread(func() {
		require.NoError(t, unix.Unshare(unix.CLONE_NEWNET))
		file, err := os.Open("/proc/thread-self/ns/net")
		require.NoError(t, err)
		s.file = file
		up(t, "lo")
	})
	t.Cleanup(func() { _ = s.file.Close() })
	return s
}

// do runs f in the namespace. What it opens stays there; goroutines that it starts don't.
func (s space) do(t *testing.T, f func()) {
	t.Helper()
	onThread(func() {
		require.NoError(t, unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET))
		f()
	})
}

// onThread runs f on a thread that ends with it.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		f()
	}()
	<-done
}

func up(t *testing.T, device string) {
	t.Helper()
	link, err := netlink.LinkByName(device)
	require.NoError(t, err)
	require.NoError(t, netlink.LinkSetUp(link))
}

func addAddress(t *testing.T, device, address string) {
	t.Helper()
	link, err := netlink.LinkByName(device)
	require.NoError(t, err)
	parsed, err := netlink.ParseAddr(address)
	require.NoError(t, err)
	parsed.Flags = unix.IFA_F_NODAD
	require.NoError(t, netlink.AddrAdd(link, parsed))
}

func addRoute(t *testing.T, destination, gateway string) {
	t.Helper()
	prefix, err := netlink.ParseIPNet(destination)
	require.NoError(t, err)
	via, err := netlink.ParseIPNet(gateway + "/32")
	require.NoError(t, err)
	require.NoError(t, netlink.RouteAdd(&netlink.Route{Dst: prefix, Gw: via.IP}))
}

func setting(t *testing.T, value string, parts ...string) {
	t.Helper()
	require.NoError(t, os.WriteFile(sysctl(parts...), []byte(value), 0))
}

const (
	hostPublic    = "203.0.113.2"
	outsidePublic = "203.0.113.1"
	outsideMTUs   = 1400
)

// newOutside connects the host with a namespace to which its default route leads: the internet, and every private network as well.
func newOutside(t *testing.T) space {
	t.Helper()
	outside := newSpace(t)
	require.NoError(t, netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "out0", MTU: outsideMTUs}, PeerName: "in0", PeerNamespace: netlink.NsFd(int(outside.file.Fd())),
	}))
	addAddress(t, "out0", hostPublic+"/24")
	outside.do(t, func() {
		addAddress(t, "in0", outsidePublic+"/24")
		up(t, "in0")
	})
	up(t, "out0")
	addRoute(t, "0.0.0.0/0", outsidePublic)
	return outside
}
