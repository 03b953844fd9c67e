//go:build vm && linux

package microvm

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/channel"
)

// benchCPUs is what "standalone run" gives a job on a machine with two.
const benchCPUs = 2

// BenchmarkFirstByte measures what a job waits for until its first step's first byte, in turn with the bare boot of the same kernel and
// initramfs (dev/bench vm).
func BenchmarkFirstByte(b *testing.B) {
	s := newSite(b)
	cold := s.executor(b, func(o *Options) { o.CPUs = benchCPUs })
	warm := s.executor(b, func(o *Options) { o.CPUs, o.Pool = benchCPUs, 1 })
	require.NoError(b, cold.runtime.prepare(b.Context()))
	measured := map[string][]time.Duration{}
	measured["first use of an image, warm"] = append(measured["first use of an image, warm"], warm.firstByte(b, s.registry.Image, true))
	for b.Loop() {
		for _, one := range []struct {
			name string
			take func() time.Duration
		}{
			{"bare boot", func() time.Duration { return s.bareBoot(b, cold.runtime) }},
			{"cold", func() time.Duration { return cold.firstByte(b, s.registry.Image, false) }},
			{"warm", func() time.Duration { return warm.firstByte(b, s.registry.Image, true) }},
		} {
			warm.awaitIdle(b) // no machine boots beside
			measured[one.name] = append(measured[one.name], one.take())
		}
	}
	warm.awaitIdle(b)
	b.ReportMetric(0, "ns/op")
	for name, all := range measured {
		b.ReportMetric(float64(median(all).Milliseconds()), "ms:"+strings.ReplaceAll(name, " ", "-"))
	}
	b.ReportMetric(float64(median(measured["cold"]))/float64(median(measured["bare boot"])), "cold/bare")
	b.ReportMetric(warm.residentMiB(b), "MiB/idle-machine")
	most := 0
	for _, times := range s.registry.Fetched() {
		most = max(most, times)
	}
	b.ReportMetric(float64(most), "fetches/blob")
}

func median(all []time.Duration) time.Duration {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// bareBoot boots a machine without anything around it until its agent speaks.
func (s *site) bareBoot(b *testing.B, r *Runtime) time.Duration {
	began := time.Now()
	i, err := s.driver.Start(b.Context(), vm.Machine{
		Name: "bare", CPUs: benchCPUs, Memory: testMemory + overhead, Kernel: s.kit.Kernel, Initramfs: s.kit.Initramfs,
		Drives: []vm.Drive{{File: r.root.File, ReadOnly: true}},
	})
	require.NoError(b, err)
	client, err := channel.Connect(b.Context(), i.Channel(), channel.Timing{})
	require.NoError(b, err)
	took := time.Since(began)
	require.NoError(b, client.Close())
	require.NoError(b, i.Close())
	return took
}

func (e *executor) awaitIdle(t testing.TB) {
	t.Helper()
	e.runtime.pool.fill()
	require.Eventually(t, func() bool {
		e.runtime.pool.mu.Lock()
		defer e.runtime.pool.mu.Unlock()
		return len(e.runtime.pool.idle) > 0
	}, time.Minute, 10*time.Millisecond)
}

// firstByte runs a job of one step, and returns the time from its request to the step's first byte.
func (e *executor) firstByte(t testing.TB, image string, warm bool) time.Duration {
	t.Helper()
	if warm {
		e.awaitIdle(t)
	}
	workspace, err := os.MkdirTemp(e.dir, "workspace-")
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(workspace, runtime.ScriptsDir), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(workspace, runtime.ScriptsDir, "s.sh"), []byte("echo up\n"), 0o755))
	log := &firstByteLog{}
	step := runtime.Step{Key: "step.docker.0", Image: image, Script: "s.sh"}
	began := time.Now()
	session, err := e.runtime.Open(t.Context(), runtime.Job{
		ID: 1, Queue: "default", Executor: e.name, WorkspaceDir: workspace, Steps: []runtime.Step{step}, Log: log,
	})
	require.NoError(t, err)
	require.NoError(t, session.Run(t.Context(), step))
	require.NoError(t, session.Close(context.Background()))
	require.NoError(t, os.RemoveAll(workspace))
	return log.at.Sub(began)
}

// residentMiB is the memory of the executor's one idle machine, pages that it shares with others counted in part.
func (e *executor) residentMiB(t testing.TB) float64 {
	t.Helper()
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	for _, file := range environments {
		if env, err := os.ReadFile(file); err != nil || !bytes.Contains(env, []byte(owner.Mark(e.name))) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(filepath.Dir(file), "smaps_rollup"))
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); fields[0] == "Pss:" {
				kib, err := strconv.Atoi(fields[1])
				require.NoError(t, err)
				return float64(kib) / 1024
			}
		}
	}
	require.FailNow(t, "there is no idle machine")
	return 0
}

// firstByteLog notes when a step first wrote to its standard output.
type firstByteLog struct {
	once sync.Once
	at   time.Time
}

func (l *firstByteLog) Open(string, []string) command.Entry { return (*firstByteEntry)(l) }

type firstByteEntry firstByteLog

func (*firstByteEntry) Write(p []byte) (int, error) { return len(p), nil }
func (e *firstByteEntry) Stdout() io.Writer         { return stdout{e} }
func (*firstByteEntry) Stderr() io.Writer           { return io.Discard }
func (*firstByteEntry) Close(int)                   {}

type stdout struct{ entry *firstByteEntry }

func (s stdout) Write(p []byte) (int, error) {
	s.entry.once.Do(func() { s.entry.at = time.Now() })
	return len(p), nil
}
