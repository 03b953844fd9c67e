//go:build e2e && vm

package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/e2e/harness"
)

// Addresses that answer in the outside: public ones, and those that jobs must not reach.
var (
	public  = []string{"198.51.100.7", "8.8.8.8"}
	private = []string{"10.9.9.9", "10.61.250.9", "100.64.9.9", "172.16.9.9", "172.31.9.9", "192.168.9.9", "169.254.169.254", "169.254.9.9"}
)

// ip runs ip(8), in another network namespace when there is one.
func ip(t *testing.T, args ...string) {
	t.Helper()
	// It also tidies up, when the test's context has ended.
	out, err := exec.Command("ip", args...).CombinedOutput()
	require.NoError(t, err, "ip %s: %s", strings.Join(args, " "), out)
}

// outside makes a network namespace that is the world of this test's host, where every address answers with "REACHED" on ports 8080 and 8081. The host
// itself answers on all its addresses.
func outside(t *testing.T) {
	t.Helper()
	world := exec.Command("unshare", "--net", "cat")
	hold, err := world.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, world.Start())
	t.Cleanup(func() { _ = hold.Close(); _ = world.Wait() })
	pid := fmt.Sprint(world.Process.Pid)
	harness.Eventually(t, harness.Patience, "the namespace is there", func() bool {
		ours, _ := os.Readlink("/proc/self/ns/net")
		theirs, err := os.Readlink("/proc/" + pid + "/ns/net")
		return err == nil && theirs != ours
	})
	ip(t, "link", "add", "world", "type", "veth", "peer", "name", "host", "netns", pid)
	t.Cleanup(func() { ip(t, "link", "del", "world") })
	for _, address := range []string{"198.51.100.1/24", "fd00::1/64", "2001:db8::1/64"} {
		ip(t, "addr", "add", address, "dev", "world", "nodad")
	}
	ip(t, "link", "set", "world", "up")
	ip(t, "route", "add", "default", "via", "198.51.100.7")
	ip(t, "-6", "route", "add", "default", "via", "fd00::7")
	file, err := os.Open("/proc/" + pid + "/ns/net")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // the thread ends with this goroutine
		if !noErr(t, unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)) {
			return
		}
		ip(t, "link", "set", "lo", "up")
		for _, address := range append(append([]string{"fd00::7/64", "2001:db8::7/64"}, public...), private...) {
			if !strings.Contains(address, "/") {
				address += "/32"
			}
			if address == "198.51.100.7/32" {
				address = "198.51.100.7/24"
			}
			ip(t, "addr", "add", address, "dev", "host", "nodad")
		}
		ip(t, "link", "set", "host", "up")
		answerAll(t)
	}()
	<-ended
	answerAll(t)
}

func noErr(t *testing.T, err error) bool {
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

// answerAll makes all addresses of this thread's network namespace answer.
func answerAll(t *testing.T) {
	for _, port := range []string{"8080", "8081"} {
		listener, err := net.Listen("tcp", ":"+port)
		if !noErr(t, err) {
			return
		}
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return // it is closed
				}
				_, _ = conn.Write([]byte("REACHED\n"))
				_ = conn.Close()
			}
		}()
	}
}

// resolver answers for every name on the address that this host asks, which the host gets.
func resolver(t *testing.T) {
	t.Helper()
	text, err := os.Open("/etc/resolv.conf")
	require.NoError(t, err)
	defer func() { require.NoError(t, text.Close()) }()
	for lines := bufio.NewScanner(text); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 2 || fields[0] != "nameserver" || net.ParseIP(fields[1]).IsLoopback() {
			continue
		}
		bits := "/32"
		if strings.Contains(fields[1], ":") {
			bits = "/128"
		}
		ip(t, "addr", "add", fields[1]+bits, "dev", "lo")
		t.Cleanup(func() { ip(t, "addr", "del", fields[1]+bits, "dev", "lo") })
		serveNames(t, net.JoinHostPort(fields[1], "53"))
	}
}

func serveNames(t *testing.T, address string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		query := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return // it is closed
			}
			// The question's last four bytes are type and class (RFC 1035, section 4.1).
			reply := append([]byte(nil), query[:n]...)
			reply[2], reply[3] = 0x81, 0x80
			if reply[n-3] == 1 {
				reply[7] = 1
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 7)
			}
			_, _ = conn.WriteTo(reply, from)
		}
	}()
}

// trying is a job that tries to reach what it must not, and what it may.
const trying = `steps:
  - key: try
    image: %q
    run: |
      reached() { nc -w 3 $1 $2 </dev/null 2>/dev/null | grep -q REACHED; }
      gateway=$(ip route | sed -n 's/^default via \([0-9.]*\).*/\1/p')
      own=$(ip -4 addr show eth0 | sed -n 's,.*inet \([0-9.]*\)/.*,\1,p')
      for address in $gateway 198.51.100.1 127.0.0.1 %s fd00::1 fd00::7 2001:db8::1 2001:db8::7; do
        for port in 8080 8081; do reached $address $port && echo "LEAK: $address $port"; done &
        { ping -c 1 -W 2 $address >/dev/null 2>&1 && [ $address != 127.0.0.1 ] && [ $address != $gateway ] && echo "LEAK: ping $address"; } &
      done
      ip -6 addr add fd00::5/64 dev eth0 2>/dev/null && ip -6 route add default via fd00::1 2>/dev/null
      for last in 2 6 10 14; do
        other=${own%%.*}.$last
        [ $other = $own ] || { { reached $other 8080 || ping -c 1 -W 2 $other >/dev/null 2>&1; } && echo "LEAK: other guest $other"; } &
      done
      wait
      for address in %s; do reached $address 8080 && echo "public $address"; done
      reached 10.9.9.9 8080 && echo "allowed 10.9.9.9 8080"
      reached 10.9.9.9 8081 && echo "LEAK: another port"
      nslookup anything.example | grep -A 1 Name: | grep -o 198.51.100.7
      { while true; do echo REACHED | nc -l -p 8080 -w 20 >/dev/null; done; } 2>/dev/null &
      sleep 6
      kill %%1 2>/dev/null; true
`

// From inside a microVM somebody tries to reach the host, other guests, and everything private, by TCP and ICMP, over IPv4 and IPv6. What is allowed
// works, so that the silence of the rest means something.
func TestMicroVMsReachNothingPrivate(t *testing.T) {
	m := newMachines(t)
	outside(t)
	resolver(t)
	frontend := harness.StartFrontend(t)
	executor := harness.StartExecutor(t, frontend.URL, m.tempDir, "firecracker",
		append(m.env, "EXECUTOR_MAXIMUM_NUM_JOBS=2", "EXECUTOR_VM_EGRESS_ALLOW=tcp:10.9.9.9:8080")...)
	text := fmt.Sprintf(trying, m.registry.Image, strings.Join(private[1:], " "), strings.Join(public, " "))
	first, second := frontend.Submit(t, text).ID, frontend.Submit(t, text).ID
	for _, id := range []int64{first, second} {
		_, log := frontend.Await(t, id)
		require.NotContains(t, log, "LEAK", log)
		for _, address := range public {
			require.Contains(t, log, "stdout: public "+address+"\n", log)
		}
		require.Contains(t, log, "stdout: allowed 10.9.9.9 8080\n", log)
		require.Contains(t, log, "stdout: 198.51.100.7\n", "names are answered: "+log)
	}
	executor.Signal(unix.SIGTERM)
	require.Zero(t, executor.Wait(harness.Patience))
	m.requireNothingLeft(t)
}
