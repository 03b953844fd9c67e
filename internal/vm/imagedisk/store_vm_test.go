//go:build vm

package imagedisk

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRealDisk goes the whole way with sqfstar.
func TestRealDisk(t *testing.T) {
	t.Parallel()
	w := newWorld("r.test")
	s := newStore(t, w, &maker{}, func(o *Options) { o.Make, o.Size = nil, 64<<30 })
	w.push(t, "r.test/a:1", testImage(t, "amd64", archive(t, file("d/a", "1"), file("d/b", strings.Repeat("2", 1<<20))), archive(t, file("d/.wh.a", ""))))
	disk := get(t, s, "r.test/a:1")
	defer disk.Close()
	info, err := disk.File.Stat()
	require.NoError(t, err)
	require.EqualValues(t, 64<<30, info.Size())
	stat, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	require.Less(t, stat.Blocks*512, int64(1<<20), "the rest is a hole")
	content, err := exec.Command("unsquashfs", "-cat", disk.File.Name(), "d/b").CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("2", 1<<20), string(content))
	listed, err := exec.Command("unsquashfs", "-lln", disk.File.Name()).CombinedOutput()
	require.NoError(t, err)
	require.NotContains(t, string(listed), "d/a")

	again := newStore(t, w, &maker{}, in(s.options.Dir), func(o *Options) { o.Make, o.Size = nil, 64<<30 })
	getAndClose(t, again, "r.test/a:1")
}

// TestRealDiskFull fills a small tmpfs.
func TestRealDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m,mode=0700"), "needs root")
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	w := newWorld("r.test")
	s := newStore(t, w, &maker{}, in(dir), func(o *Options) { o.Make = nil })
	random := make([]byte, 2<<20)
	state := uint32(1)
	for i := range random {
		state = state*1664525 + 1013904223
		random[i] = byte(state >> 24)
	}
	w.push(t, "r.test/a:1", testImage(t, "amd64", archive(t, file("a", string(random)))))
	w.push(t, "r.test/b:1", testImage(t, "amd64", archive(t, file("a", string(random)+string(random)))))
	for ref, want := range map[string]string{"r.test/a:1": "sqfstar: ", "r.test/b:1": "no space left on device; make room there"} {
		_, err := s.Get(t.Context(), ref, nobody)
		require.ErrorContains(t, err, "image "+ref+": in "+dir+", which has ")
		require.ErrorContains(t, err, " MiB of 3 MiB free: making its disk: ")
		require.ErrorContains(t, err, want)
		t.Log(err)
	}
	require.Empty(t, left(t, dir))
}
