//go:build vm

package imagedisk

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func full(t *testing.T) []byte {
	raw, err := flatPieces(t, []piece{
		{name: "bin", typeflag: tar.TypeDir, mode: 0o2750, uid: 7, gid: 8, mtime: 1234567},
		{name: "bin/su", content: strings.Repeat("x", 300000), mode: 0o4755, uid: 4000000000, gid: 3000000, mtime: 77, xattrs: map[string]string{
			"security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "user.empty": "", "user.x": "\x00\n=y",
		}},
		hard("a/su", "bin/su"), soft("bin/sl", "su"), hard("bin/sl2", "bin/sl"),
		{name: "fifo", typeflag: tar.TypeFifo, mode: 0o600, uid: 1}, {name: "null", typeflag: tar.TypeChar, mode: 0o666, major: 1, minor: 3},
		{name: "null2", typeflag: tar.TypeLink, link: "null"},
		{name: "disk", typeflag: tar.TypeBlock, mode: 0o660, gid: 6, major: 4095, minor: 255}, file(strings.Repeat("n", 255), "1"),
		soft("long", strings.Repeat("t", 4095)), {name: "late", mode: 0o644, mtime: 1<<32 - 1}, file("new\nline \xff", "2"), dir(strings.Repeat("d/", 1500)),
	})
	require.NoError(t, err)
	return raw
}

func squashed(t *testing.T, raw []byte) string {
	path := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, Make(t.Context(), bytes.NewReader(raw), path))
	return path
}

func TestMakeKeepsEverything(t *testing.T) {
	t.Parallel()
	path := squashed(t, full(t))
	listed, err := exec.Command("unsquashfs", "-lln", path).CombinedOutput()
	require.NoError(t, err, "%s", listed)
	list := string(listed)
	for _, want := range []string{
		"drwxr-xr-x 0/0 ", "1970-01-01 00:00 squashfs-root\n", "drwxr-s--- 7/8 ", "1970-01-15 06:56 squashfs-root/bin\n",
		"-rwsr-xr-x 4000000000/3000000   300000 1970-01-01 00:01 squashfs-root/bin/su\n", "squashfs-root/a/su\n", "squashfs-root/bin/sl2 -> su\n",
		"prw------- 1/0 ", "crw-rw-rw- 0/0                   1,  3 ", "brw-rw---- 0/6 ", "4095,255 1970-01-01 00:00 squashfs-root/disk\n", "2106-02-07 06:28 squashfs-root/late\n",
		"/" + strings.Repeat("n", 255) + "\n", "squashfs-root/long -> " + strings.Repeat("t", 4095) + "\n", "squashfs-root/new\nline \xff\n",
		strings.Repeat("/d", 1500) + "\n",
	} {
		require.True(t, strings.Contains(list, want), "%.200q in %.3000s", want, list)
	}
	require.NotContains(t, list, time.Now().Format("2006-01-02"))

	if os.Geteuid() != 0 {
		t.Fatal("unpacking xattrs and devices needs root")
	}
	root := filepath.Join(t.TempDir(), "root")
	said, err := exec.Command("unsquashfs", "-q", "-n", "-d", root, path, "bin", "a", "null", "null2").CombinedOutput()
	require.NoError(t, err, "%s", said)
	same := func(a, b string) {
		one, err := os.Lstat(filepath.Join(root, a))
		require.NoError(t, err)
		other, err := os.Lstat(filepath.Join(root, b))
		require.NoError(t, err)
		require.True(t, os.SameFile(one, other), "%s and %s", a, b)
	}
	same("bin/su", "a/su")
	same("bin/sl", "bin/sl2")
	same("null", "null2")
	value := make([]byte, 100)
	n, err := syscall.Getxattr(filepath.Join(root, "bin/su"), "user.x", value)
	require.NoError(t, err)
	require.Equal(t, "\x00\n=y", string(value[:n]))
	n, err = syscall.Getxattr(filepath.Join(root, "bin/su"), "security.capability", value)
	require.NoError(t, err)
	require.Equal(t, 20, n)
}

func TestMakeIsReproducible(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string][]byte{"full": full(t), "empty": archive(t), "no root's file": archive(t, piece{name: "a", uid: 5, gid: 6})} {
		want, err := os.ReadFile(squashed(t, raw))
		require.NoError(t, err, name)
		dir := t.TempDir()
		for d := dir; d != "/tmp" && d != "/"; d = filepath.Dir(d) {
			require.NoError(t, os.Chmod(d, 0o777))
		}
		program, err := exec.LookPath(program)
		require.NoError(t, err)
		path := filepath.Join(dir, "disk")
		cmd := exec.Command(program, arguments(path)...)
		cmd.Stdin = bytes.NewReader(raw)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65533}}
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", name, said)
		require.NoError(t, normaliseRoot(path))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		listed, err := exec.Command("unsquashfs", "-lln", path).CombinedOutput()
		require.NoError(t, err)
		require.Contains(t, string(listed), "drwxr-xr-x 0/0 ", name)
		if name == "full" || name == "empty" {
			require.Equal(t, len(want), len(got), name)
		}
	}
	first, err := os.ReadFile(squashed(t, full(t)))
	require.NoError(t, err)
	second, err := os.ReadFile(squashed(t, full(t)))
	require.NoError(t, err)
	require.True(t, bytes.Equal(first, second))
}

func TestMakeFails(t *testing.T) {
	t.Parallel()
	err := Make(t.Context(), strings.NewReader("this is no archive"+strings.Repeat("x", 2000)), filepath.Join(t.TempDir(), "disk"))
	require.ErrorContains(t, err, "sqfstar: exit status 1: ")
	err = Make(t.Context(), bytes.NewReader(archive(t)), filepath.Join(t.TempDir(), "missing", "disk"))
	require.ErrorContains(t, err, "No such file or directory")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Make(ctx, bytes.NewReader(nil), filepath.Join(t.TempDir(), "disk")), context.Canceled)
}
