//go:build vm && linux

package qemu

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/channel"
	"github.com/open-executor/executor/internal/vm/vmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bootTime bounds the wait for a guest's agent, on a busy machine without KVM.
const bootTime = time.Minute

// guest is a machine that was started, with its agent's client. Drive 1 is the job's, drive 2 an image's.
type guest struct {
	vm.Instance
	client *channel.Client
	kit    vmtest.Kit
}

func open(t *testing.T, path string, flags int) *os.File {
	t.Helper()
	file, err := os.OpenFile(path, flags, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	return file
}

func boot(t *testing.T) *guest {
	t.Helper()
	driver, err := New(logtest.Scoped(t), Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, driver.Close()) })
	kit := vmtest.Make(t)
	instance, err := driver.Start(t.Context(), vm.Machine{
		Name: "test", CPUs: 1, Memory: 256 << 20, Kernel: kit.Kernel, Initramfs: kit.Initramfs,
		Drives: []vm.Drive{
			{File: open(t, kit.Root, os.O_RDONLY), ReadOnly: true},
			{File: open(t, vmtest.Blank(t), os.O_RDWR)},
			{File: open(t, vmtest.Blank(t), os.O_RDONLY), ReadOnly: true},
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, instance.Close())
		if t.Failed() {
			t.Logf("console: %s", instance.Console())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	client, err := channel.Connect(ctx, instance.Channel(), channel.Timing{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return &guest{instance, client, kit}
}

func (g *guest) do(t *testing.T, request channel.Request, streams channel.Streams) channel.Result {
	t.Helper()
	result, err := g.client.Do(t.Context(), request, streams)
	require.NoError(t, err)
	return result
}

// prepare gives the guest a workspace with scripts and an image.
func (g *guest) prepare(t *testing.T, scripts map[string]string) {
	t.Helper()
	entropy := make([]byte, 64)
	_, err := rand.Read(entropy)
	require.NoError(t, err)
	g.do(t, channel.Request{Configure: &channel.Configure{Hostname: "guest", Time: time.Now(), Entropy: entropy}}, channel.Streams{})
	dir := t.TempDir()
	for name, script := range scripts {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	require.NoError(t, g.Swap(t.Context(), 1, open(t, vmtest.Workspace(t, dir), os.O_RDWR)))
	require.NoError(t, g.Swap(t.Context(), 2, open(t, g.kit.Image, os.O_RDONLY)))
	g.do(t, channel.Request{Workspace: &channel.Workspace{Drive: 1}}, channel.Streams{})
}

func container(script string) *channel.Container {
	return &channel.Container{
		Drive: 2, Args: []string{"/bin/sh", "/data/" + script}, Env: []string{"PATH=/bin", "NAME=two\nlines"}, Dir: "/data", Memory: 64 << 20, Pids: 100,
	}
}

// One machine from its first byte to its last: a guest takes seconds to boot where there is no KVM, so one serves for all.
func TestAJobInAMachine(t *testing.T) {
	g := boot(t)
	g.prepare(t, map[string]string{
		"first":   "echo \"$NAME\"; echo mistake >&2; hostname; pwd; echo left > file; touch /outside; exit 3",
		"second":  "cat file; ls /outside; id -u; grep -c . /proc/self/status > /dev/null && grep NoNewPrivs /proc/self/status",
		"memory":  "x=0123456789abcdef; while true; do x=$x$x; done",
		"forever": "trap 'echo told; exit 9' TERM; echo up; sleep 1000 & wait",
		"leaving": "sleep 1000 & echo gone",
	})
	var out, errs strings.Builder
	result := g.do(t, channel.Request{Container: container("first")}, channel.Streams{Stdout: &out, Stderr: &errs})
	require.Equal(t, channel.Result{ExitCode: 3}, result)
	require.Equal(t, "two\nlines\nguest\n/data\n", out.String())
	require.Equal(t, "mistake\n", errs.String())

	// The workspace stays between steps, what a step wrote elsewhere doesn't.
	out.Reset()
	errs.Reset()
	result = g.do(t, channel.Request{Container: container("second")}, channel.Streams{Stdout: &out, Stderr: &errs})
	require.Zero(t, result.ExitCode)
	require.Equal(t, "left\n0\nNoNewPrivs:\t1\n", out.String())
	require.Contains(t, errs.String(), "/outside: No such file")

	result = g.do(t, channel.Request{Container: container("memory")}, channel.Streams{})
	require.True(t, result.OutOfMemory)
	require.Equal(t, 128+int(syscall.SIGKILL), result.ExitCode)

	up := make(chan struct{}, 1)
	call, err := g.client.Start(channel.Request{Container: container("forever")}, channel.Streams{Stdout: signalling{up}})
	require.NoError(t, err)
	<-up
	require.NoError(t, call.Signal(channel.Signal{Number: syscall.SIGTERM}))
	result, err = call.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, 9, result.ExitCode)

	out.Reset()
	g.do(t, channel.Request{Container: container("leaving")}, channel.Streams{Stdout: &out})
	require.Equal(t, "gone\n", out.String(), "what it left behind holds nothing up")

	broken := container("first")
	broken.Args[0] = "/bin/none"
	_, err = g.client.Do(t.Context(), channel.Request{Container: broken}, channel.Streams{})
	require.ErrorContains(t, err, "the container did not start")

	require.Equal(t, "left\n", g.take(t, "file"))
	_, err = g.client.Do(t.Context(), channel.Request{Take: &channel.Take{Path: "file", Limit: 10}}, channel.Streams{})
	require.ErrorIs(t, err, os.ErrNotExist)
	g.do(t, channel.Request{Write: &channel.Write{Path: "sub/new", Mode: 0o644}}, channel.Streams{Input: strings.NewReader("text")})
	require.Equal(t, "text", g.take(t, "sub/new"))
	_, err = g.client.Do(t.Context(), channel.Request{Write: &channel.Write{Path: "../../etc/passwd", Mode: 0o644}}, channel.Streams{Input: strings.NewReader("x")})
	require.Error(t, err)

	call, err = g.client.Start(channel.Request{PowerOff: &channel.PowerOff{}}, channel.Streams{})
	require.NoError(t, err)
	<-g.Done()
	_, err = call.Wait(t.Context())
	require.Error(t, err, "the machine is gone")
}

func (g *guest) take(t *testing.T, path string) string {
	t.Helper()
	var content strings.Builder
	g.do(t, channel.Request{Take: &channel.Take{Path: path, Limit: 100}}, channel.Streams{Stdout: &content})
	return content.String()
}

// signalling says that something was written.
type signalling struct{ wrote chan<- struct{} }

func (s signalling) Write(p []byte) (int, error) {
	select {
	case s.wrote <- struct{}{}:
	default:
	}
	return len(p), nil
}
