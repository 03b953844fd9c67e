//go:build vm && linux

package qemu

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/vm/channel"
)

// A machine that has been warmed runs steps with the same confinement, whichever way their containers came about.
func TestWarmMachinesConfineTheirSteps(t *testing.T) {
	g := boot(t)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.Instance.(*instance).cmd.Process.Pid))
	require.NoError(t, err)
	require.Contains(t, string(status), fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", firstUID), "the monitor is nobody")
	g.do(t, channel.Request{Configure: &channel.Configure{Hostname: "guest", Time: time.Now(), Entropy: make([]byte, 32)}}, channel.Streams{})
	g.do(t, channel.Request{Warm: &channel.Warm{}}, channel.Streams{Input: strings.NewReader("")})
	_, err = g.client.Do(t.Context(), channel.Request{Workspace: &channel.Workspace{Drive: 1}}, channel.Streams{})
	require.ErrorContains(t, err, "workspace", "there is no file system on the drive")
	g.prepare(t, map[string]string{
		"look": "grep -E '^(Seccomp|NoNewPrivs|CapBnd):' /proc/self/status; unshare -r true || echo no namespace; mount -t tmpfs none /tmp || echo no mount; " +
			"date -s 2000-01-01 >/dev/null; cat /proc/self/cgroup; echo ${#LONG}; ls /outside /proc/kcore | head -c 100; touch /outside",
	})
	c := container("look")
	long := strings.Repeat("x", 60<<10)
	c.Env = append(c.Env, "LONG="+long, "MORE="+long, "MOST="+long)
	var first string
	for _, same := range []bool{false, true, true} {
		c.Same = same
		var out, errs bytes.Buffer
		result := g.do(t, channel.Request{Container: c}, channel.Streams{Stdout: &out, Stderr: &errs})
		require.Zero(t, result.ExitCode, errs.String())
		require.Contains(t, out.String(), "NoNewPrivs:\t1\n")
		require.Contains(t, out.String(), "Seccomp:\t2\n")
		require.Contains(t, out.String(), "CapBnd:\t00000000a80425fb\n")
		require.Contains(t, out.String(), "no namespace\nno mount\n0::/\n61440\n")
		require.Contains(t, errs.String(), "/outside: No such file")
		require.Contains(t, errs.String(), "can't set date: Operation not permitted")
		if first == "" {
			first = out.String()
		}
		require.Equal(t, first, out.String())
	}
}
