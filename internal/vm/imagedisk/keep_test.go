package imagedisk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
)

// start asks for an image in a goroutine.
func start(ctx context.Context, s *Store, ref string) <-chan error {
	done := make(chan error, 1)
	go func() {
		disk, err := s.Get(ctx, ref, nobody)
		if err == nil {
			err = disk.Close()
		}
		done <- err
	}()
	return done
}

// waiting blocks until n callers wait for what is being made.
func waiting(t *testing.T, s *Store, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.flights.mu.Lock()
		defer s.flights.mu.Unlock()
		all := 0
		for _, f := range s.flights.going {
			all += f.waiters
		}
		return all == n
	}, 10*time.Second, time.Millisecond)
}

func TestOneBuildForAll(t *testing.T) {
	t.Parallel()
	w, m := newWorld("r.test"), &maker{entered: make(chan struct{}), let: make(chan error)}
	s := newStore(t, w, m)
	w.push(t, "r.test/a:1", testImage(t, "amd64", archive(t, file("a", ""))))
	gone := errors.New("job canceled")
	ctx, cancel := context.WithCancelCause(t.Context())
	first := start(ctx, s, "r.test/a:1")
	<-m.entered
	var others []<-chan error
	for range 8 {
		others = append(others, start(t.Context(), s, "r.test/a:1"))
	}
	waiting(t, s, 9)
	cancel(gone)
	require.ErrorIs(t, <-first, gone)
	m.let <- nil
	for _, other := range others {
		require.NoError(t, <-other)
	}
	require.EqualValues(t, 1, m.made.Load())
	require.Equal(t, 2, count(w.took(), "GET", "/blobs/"))
}

func TestNobodyWaits(t *testing.T) {
	t.Parallel()
	w, m := newWorld("r.test"), &maker{entered: make(chan struct{}), let: make(chan error)}
	s := newStore(t, w, m)
	w.push(t, "r.test/a:1", testImage(t, "amd64", archive(t, file("a", ""))))
	ctx, cancel := context.WithCancel(t.Context())
	first := start(ctx, s, "r.test/a:1")
	<-m.entered
	cancel()
	err := <-first
	require.EqualError(t, err, "image r.test/a:1: context canceled")

	// Who comes then gets a build of its own, after the first one's end.
	second := start(t.Context(), s, "r.test/a:1")
	<-m.entered
	m.let <- errors.New("the maker's words")
	require.ErrorContains(t, <-second, "image r.test/a:1: in "+s.options.Dir+", which has ")
	require.Empty(t, left(t, s.options.Dir))

	third := start(t.Context(), s, "r.test/a:1")
	<-m.entered
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-third, errClosed)
	_, err = s.Get(t.Context(), "r.test/a:1", nobody)
	require.ErrorIs(t, err, errClosed)
	require.Empty(t, left(t, s.options.Dir))
}

func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	w, m := newWorld("r.test"), &maker{entered: make(chan struct{}), let: make(chan error)}
	one := newStore(t, w, m)
	two := newStore(t, w, m, in(one.options.Dir))
	w.push(t, "r.test/a:1", testImage(t, "amd64", archive(t, file("a", ""))))
	first, second := start(t.Context(), one, "r.test/a:1"), start(t.Context(), two, "r.test/a:1")
	<-m.entered
	m.let <- nil
	require.NoError(t, <-first)
	require.NoError(t, <-second)
	require.EqualValues(t, 1, m.made.Load())
	require.Equal(t, 2, count(w.took(), "GET", "/blobs/"))
}

func TestEviction(t *testing.T) {
	t.Parallel()
	w, m := newWorld("r.test"), &maker{}
	s := newStore(t, w, m, func(o *Options) { o.MaxBytes = 150 << 10 })
	for i := range 4 {
		w.push(t, fmt.Sprintf("r.test/a:%d", i), testImage(t, "amd64", archive(t, file("a", strings.Repeat(string(rune('0'+i)), 60<<10)))))
	}
	disks := func() (n int) {
		for _, name := range left(t, s.options.Dir) {
			if strings.HasSuffix(name, diskFile) {
				n++
			}
		}
		return n
	}
	used := get(t, s, "r.test/a:0")
	getAndClose(t, s, "r.test/a:1")
	getAndClose(t, s, "r.test/a:2")
	require.Equal(t, 2, disks(), "1 goes, 0 is in use")
	getAndClose(t, s, "r.test/a:0")
	require.EqualValues(t, 3, m.made.Load())
	require.NoError(t, used.Close())
	// Both are unused now, and 0 was used last.
	getAndClose(t, s, "r.test/a:3")
	require.Equal(t, 2, disks())
	getAndClose(t, s, "r.test/a:0")
	require.EqualValues(t, 4, m.made.Load())
	getAndClose(t, s, "r.test/a:2")
	require.EqualValues(t, 5, m.made.Load())
	require.Len(t, left(t, s.options.Dir), 2*4)

	// Another process's disk in use stays as well.
	other := newStore(t, w, m, in(s.options.Dir))
	used = get(t, other, "r.test/a:0")
	small := newStore(t, w, m, in(s.options.Dir), func(o *Options) { o.MaxBytes = 1 })
	getAndClose(t, small, "r.test/a:1")
	require.Equal(t, 2, disks())
	require.NotEmpty(t, lines(t, used))
	require.NoError(t, used.Close())
}

func TestDamage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		damage func(disk, record string) error
		// fresh is what a new process sees; the old one sees changes of the inode only.
		old, fresh int32
	}{
		"none":            {func(string, string) error { return nil }, 1, 1},
		"content":         {func(disk, _ string) error { return overwrite(disk, 700) }, 2, 2},
		"cut":             {func(disk, _ string) error { return os.Truncate(disk, 100) }, 2, 2},
		"disk gone":       {func(disk, _ string) error { return os.Remove(disk) }, 2, 2},
		"record gone":     {func(_, record string) error { return os.Remove(record) }, 2, 2},
		"record nonsense": {func(_, record string) error { return os.WriteFile(record, []byte("{"), 0o600) }, 2, 2},
		"record of more": {func(_, record string) error {
			return os.WriteFile(record, []byte(`{"size":99999999999,"sources":["r.test/a"]}`), 0o600)
		}, 2, 2},
		"another's record": {func(_, record string) error {
			return os.WriteFile(record, []byte(`{"size":10,"sha256":"00","sources":[]}`), 0o600)
		}, 1, 2},
		"moved": {func(disk, _ string) error {
			return errors.Join(os.Rename(disk, disk+"2"), exec.Command("cp", "--sparse=always", disk+"2", disk).Run(), os.Remove(disk+"2"))
		}, 1, 1},
	} {
		for _, again := range []bool{false, true} {
			t.Run(fmt.Sprint(name, again), func(t *testing.T) {
				t.Parallel()
				w, m := newWorld("r.test"), &maker{}
				s := newStore(t, w, m)
				w.push(t, "r.test/a:1", testImage(t, "amd64", archive(t, file("a", "content"))))
				disk := get(t, s, "r.test/a:1")
				path := disk.File.Name()
				require.NoError(t, disk.Close())
				require.NoError(t, os.Chmod(path, 0o600))
				require.NoError(t, test.damage(path, strings.TrimSuffix(path, diskFile)+recordFile))
				want := test.old
				if again {
					s, want = newStore(t, w, m, in(s.options.Dir)), test.fresh
				}
				disk = get(t, s, "r.test/a:1")
				require.Equal(t, []string{"f a content"}, lines(t, disk))
				require.NoError(t, disk.Close())
				require.Equal(t, want, m.made.Load())
			})
		}
	}
}

func overwrite(path string, at int64) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt([]byte("X"), at)
	return errors.Join(err, file.Close())
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	w, m := newWorld("r.test"), &maker{entered: make(chan struct{}, 1), let: make(chan error, 1)}
	s := newStore(t, w, m)
	w.push(t, "r.test/a:1", testImage(t, "amd64", archive(t, file("a", ""))))
	m.let <- &os.PathError{Op: "write", Path: "disk", Err: syscall.ENOSPC}
	_, err := s.Get(t.Context(), "r.test/a:1", nobody)
	require.Regexp(t, `^image r.test/a:1: in \S+, which has \d+ MiB of \d+ MiB free: making its disk: write disk: no space left on device; make room there or use another directory$`, err.Error())
	require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
	require.Empty(t, left(t, s.options.Dir))

	small := newStore(t, w, &maker{}, func(o *Options) { o.Size = 1024 })
	_, err = small.Get(t.Context(), "r.test/a:1", nobody)
	require.EqualError(t, err, "image r.test/a:1: its disk measures 1536 bytes, 1024 are allowed")
	require.Equal(t, fault.User, fault.ClassOf(err))
}

// helperDir makes this test binary play a process with that store, which is killed while it makes a disk.
const helperDir = "IMAGEDISK_TEST_HELPER_DIR"

// TestHelper is no test but that process.
func TestHelper(t *testing.T) {
	dir := os.Getenv(helperDir)
	if dir == "" {
		return
	}
	w, m := newWorld("r.test"), &maker{entered: make(chan struct{}), let: make(chan error)}
	w.push(t, "r.test/a:1", testImage(t, "amd64", archive(t, file("a", "1"))))
	w.push(t, "r.test/b:1", testImage(t, "amd64", archive(t, file("b", "2"))))
	s := newStore(t, w, m, in(dir))
	first := start(t.Context(), s, "r.test/a:1")
	<-m.entered
	m.let <- nil
	require.NoError(t, <-first)
	used := get(t, s, "r.test/a:1")
	start(t.Context(), s, "r.test/b:1")
	<-m.entered
	fmt.Println("ready")
	<-m.let
	require.NoError(t, used.Close())
}

func TestKilled(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "disks")
	helper := exec.Command(os.Args[0], "-test.run=^TestHelper$")
	// It is killed, and can't remove its own.
	helper.Env = append(os.Environ(), helperDir+"="+dir, "TMPDIR="+t.TempDir())
	out, err := helper.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, helper.Start())
	t.Cleanup(func() { _ = helper.Process.Kill() })
	said, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", said)

	temps := func() (n int) {
		for _, name := range left(t, dir) {
			if strings.HasPrefix(name, tempPrefix) {
				n++
			}
		}
		return n
	}
	w, m := newWorld("r.test"), &maker{}
	w.push(t, "r.test/a:1", testImage(t, "amd64", archive(t, file("a", "1"))))
	w.push(t, "r.test/b:1", testImage(t, "amd64", archive(t, file("b", "2"))))
	s := newStore(t, w, m, in(dir), func(o *Options) { o.MaxBytes = 1 })
	require.Equal(t, 2, temps(), "those of the living stay")
	require.NoError(t, s.evict(""))
	getAndClose(t, s, "r.test/a:1")
	require.Zero(t, m.made.Load())

	require.NoError(t, helper.Process.Kill())
	require.Error(t, helper.Wait())
	s = newStore(t, w, m, in(dir), func(o *Options) { o.MaxBytes = 1 })
	require.Zero(t, temps())
	getAndClose(t, s, "r.test/b:1")
	require.EqualValues(t, 1, m.made.Load())
	require.Len(t, left(t, dir), 4, "a was evicted")

	// A disk without its record, as when the power fails between the two, counts for nothing.
	record, err := filepath.Glob(filepath.Join(dir, "*"+recordFile))
	require.NoError(t, err)
	require.NoError(t, os.Remove(record[0]))
	newStore(t, w, m, in(dir))
	require.Empty(t, left(t, dir))
}
