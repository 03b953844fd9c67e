//go:build vm && linux

package qemu

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/channel"
	"github.com/open-executor/executor/internal/vm/vmtest"
)

// stages collects how long each stage took, in the order in which they came first.
type stages struct {
	names []string
	times map[string][]time.Duration
}

func (s *stages) add(name string, took time.Duration) {
	if _, known := s.times[name]; !known {
		s.names = append(s.names, name)
	}
	s.times[name] = append(s.times[name], took)
}

func (s *stages) String() string {
	var table strings.Builder
	out := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(out, "stage\tleast\tmedian\tmost\t")
	for _, name := range s.names {
		all := slices.Sorted(slices.Values(s.times[name]))
		_, _ = fmt.Fprintf(out, "%s\t%.1f\t%.1f\t%.1f ms\t\n", name, ms(all[0]), ms(all[len(all)/2]), ms(all[len(all)-1]))
	}
	_ = out.Flush()
	return table.String()
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// TestLatency shows what a job waits for, in as many machines of their own as EXECUTOR_TEST_LATENCY says, else in one. How long that takes
// depends on the host, so it only judges that all of it works.
func TestLatency(t *testing.T) {
	machines := 1
	if number := os.Getenv("EXECUTOR_TEST_LATENCY"); number != "" {
		var err error
		machines, err = strconv.Atoi(number)
		require.NoError(t, err)
	}
	driver, err := New(logtest.Scoped(t), Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, driver.Close()) })
	kit := vmtest.Make(t)
	_, err = driver.Accelerator(t.Context(), kit.Kernel, kit.Initramfs)
	require.NoError(t, err)
	found := &stages{times: map[string][]time.Duration{}}
	for range machines {
		measureMachine(t, driver, kit, found)
	}
	t.Logf("%d machines with %s\n%s", machines, driver.accelerator, found)
}

// measureMachine takes one machine from its start to its third container.
func measureMachine(t *testing.T, driver *Driver, kit vmtest.Kit, found *stages) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "script"), []byte("echo up; $1\n"), 0o755))
	disk := vmtest.Workspace(t, dir)
	timed := func(name string, do func() error) {
		t.Helper()
		start := time.Now()
		require.NoError(t, do(), name)
		found.add(name, time.Since(start))
	}
	start := time.Now()
	instance, err := driver.Start(ctx, vm.Machine{
		Name: "test", CPUs: 1, Memory: 256 << 20, Kernel: kit.Kernel, Initramfs: kit.Initramfs,
		Drives: []vm.Drive{
			{File: open(t, kit.Root, os.O_RDONLY), ReadOnly: true},
			{File: open(t, vmtest.Workspace(t, t.TempDir()), os.O_RDWR)},
			{File: open(t, vmtest.Blank(t), os.O_RDONLY), ReadOnly: true},
		},
	})
	require.NoError(t, err)
	defer func() {
		require.NoError(t, instance.Close())
		if t.Failed() {
			t.Logf("console: %s", instance.Console())
		}
	}()
	client, err := channel.Connect(ctx, instance.Channel(), channel.Timing{})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	found.add("hello", time.Since(start))
	do := func(request channel.Request) func() error {
		return func() error {
			_, err := client.Do(ctx, request, channel.Streams{})
			return err
		}
	}
	entropy := make([]byte, 64)
	_, err = rand.Read(entropy)
	require.NoError(t, err)
	timed("configure", do(channel.Request{Configure: &channel.Configure{Hostname: "guest", Time: time.Now(), Entropy: entropy}}))
	timed("warm", do(channel.Request{Warm: &channel.Warm{Drive: 1}}))
	timed("swap", func() error { return instance.Swap(ctx, 1, open(t, disk, os.O_RDWR)) })
	timed("swap", func() error { return instance.Swap(ctx, 2, open(t, kit.Image, os.O_RDONLY)) })
	job := time.Now()
	timed("workspace", do(channel.Request{Workspace: &channel.Workspace{Drive: 1}}))
	for n, which := range []string{"first", "second", "third"} {
		c := container("script")
		if n == 0 {
			c.Args = append(c.Args, "sleep 1") // the second comes after one that took its time, the third after one that was short
		}
		c.Same = n > 0
		wrote := make(chan struct{}, 1)
		start := time.Now()
		call, err := client.Start(channel.Request{Container: c}, channel.Streams{Stdout: signalling{wrote}})
		require.NoError(t, err)
		select {
		case <-wrote:
		case <-ctx.Done():
			require.NoError(t, ctx.Err())
		}
		if n == 0 {
			found.add("WORKSPACE TO FIRST BYTE", time.Since(job))
		}
		found.add(which+" container: first byte", time.Since(start))
		result, err := call.Wait(ctx)
		require.NoError(t, err)
		require.Zero(t, result.ExitCode)
		found.add(which+" container: end", time.Since(start))
	}
}
