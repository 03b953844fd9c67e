//go:build vm

// Package vmtest makes what tests with real machines need: a kernel, the guest agent in an initramfs, and small disks. The programs come from
// this host: crun, busybox, mksquashfs; the kernel from an unpacked package that EXECUTOR_TEST_KERNEL names (dev/lib/vm.sh).
package vmtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/vm/boot"
)

// DiskSize is the size of the disks, in bytes: those that are swapped for each other have the same.
const DiskSize = 1 << 30

// Kit are paths of what a machine is made of.
type Kit struct {
	Kernel, Initramfs string
	// Root is the guest's own root, Image one for steps.
	Root, Image string
}

// Make makes a kit in a directory of the test's.
func Make(t testing.TB) Kit {
	t.Helper()
	kit := Boot(t)
	dir := filepath.Dir(kit.Kernel)
	kit.Root, kit.Image = filepath.Join(dir, "root.squashfs"), filepath.Join(dir, "image.squashfs")
	squash(t, kit.Root, programs(t, rootPrograms...))
	squash(t, kit.Image, programs(t, imagePrograms...))
	return kit
}

// Programs of the guest's root and of the image for steps.
var (
	rootPrograms  = []string{"crun", "busybox"}
	imagePrograms = []string{"busybox"}
)

// Boot makes what boots alone, in a directory of the test's.
func Boot(t testing.TB) Kit {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, boot.Install(Kernel(t), Agent(t), dir))
	return Kit{Kernel: filepath.Join(dir, boot.KernelFile), Initramfs: filepath.Join(dir, boot.InitramfsFile)}
}

// Kernel is the unpacked kernel package.
func Kernel(t testing.TB) string {
	t.Helper()
	tree := os.Getenv("EXECUTOR_TEST_KERNEL")
	require.NotEmpty(t, tree, "EXECUTOR_TEST_KERNEL must name an unpacked kernel package; dev/lib/vm.sh makes one")
	return tree
}

// Agent builds the guest agent's program.
func Agent(t testing.TB) string {
	t.Helper()
	agent := filepath.Join(t.TempDir(), "vmagent")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", agent, "github.com/open-executor/executor/cmd/vmagent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	run(t, build)
	return agent
}

// programs makes a tree with programs of this host and the libraries that they are linked with.
func programs(t testing.TB, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"bin", "dev", "etc", "proc", "root", "run", "sys", "tmp"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	for name, text := range map[string]string{"passwd": "root:x:0:0:root:/root:/bin/sh\n", "group": "root:x:0:\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, "etc", name), []byte(text), 0o644))
	}
	for _, name := range names {
		path, err := exec.LookPath(name)
		require.NoError(t, err)
		put(t, path, filepath.Join(root, "bin", name))
		linked, _ := exec.Command("ldd", path).Output() // it fails for a static program
		for field := range strings.FieldsSeq(string(linked)) {
			if filepath.IsAbs(field) {
				put(t, field, filepath.Join(root, field))
			}
		}
	}
	for applet := range strings.FieldsSeq(run(t, exec.Command("busybox", "--list"))) {
		if applet != "busybox" {
			require.NoError(t, os.Symlink("busybox", filepath.Join(root, "bin", applet)))
		}
	}
	return root
}

func put(t testing.TB, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
	require.NoError(t, os.WriteFile(to, content, 0o755))
}

func squash(t testing.TB, path, root string) {
	t.Helper()
	run(t, exec.Command("mksquashfs", root, path, "-comp", "lz4", "-all-root", "-noappend", "-quiet", "-no-progress"))
	require.NoError(t, os.Truncate(path, DiskSize))
}

// Blank makes an empty disk.
func Blank(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "blank")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Truncate(path, DiskSize))
	return path
}

// Workspace makes a job's disk with a directory's files on it.
func Workspace(t testing.TB, dir string) string {
	t.Helper()
	disk := Blank(t)
	run(t, exec.Command("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum,uninit_bg", "-E", "lazy_itable_init=1,nodiscard,root_owner=0:0", "-d", dir, disk))
	return disk
}

func run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(t, err, fmt.Sprint(cmd.Args, ": ", said.String()))
	return string(out)
}
