package boot

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/open-executor/executor/internal/fault"
)

// Names of what Install makes in its directory.
const (
	// KernelFile is the ELF kernel, ImageFile the kernel as its package has it: QEMU without KVM needs the latter, whose entry sets the timers
	// up by which the kernel finds its clock.
	KernelFile    = "vmlinux"
	ImageFile     = "vmlinuz"
	InitramfsFile = "initramfs"
)

// Install makes kernel and initramfs in dir of an unpacked kernel package (tree holds boot/vmlinuz-* and lib/modules/*, as the root of a
// machine with it installed does) and the agent's program. What is there already is replaced at once or not at all. A tree with
// several kernels gives its last one by name.
func Install(tree, agent, dir string) error {
	images, err := filepath.Glob(filepath.Join(tree, "boot", "vmlinuz-*"))
	if err != nil {
		return err
	}
	if len(images) == 0 {
		return fault.Operatorf("%s has no boot/vmlinuz-*: unpack a kernel package there, on Debian: apt-get download linux-image-cloud-amd64's dependency, dpkg -x", tree)
	}
	image := slices.Max(images)
	version := filepath.Base(image)[len("vmlinuz-"):]
	packed, err := os.ReadFile(image)
	if err != nil {
		return fault.As(fault.Operator, err)
	}
	kernel, err := Vmlinux(packed)
	if err != nil {
		return fmt.Errorf("%s: %w", image, err)
	}
	modules, err := Modules(os.DirFS(modulesDir(tree, version)), Wanted)
	if err != nil {
		return err
	}
	program, err := os.ReadFile(agent)
	if err != nil {
		return fault.Operatorf("the guest agent: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.As(fault.Operator, err)
	}
	for name, content := range map[string][]byte{KernelFile: kernel, ImageFile: packed} {
		err := replace(filepath.Join(dir, name), func(out *bufio.Writer) error {
			_, err := out.Write(content)
			return err
		})
		if err != nil {
			return err
		}
	}
	return replace(filepath.Join(dir, InitramfsFile), func(out *bufio.Writer) error { return WriteInitramfs(out, program, modules) })
}

// modulesDir is where a kernel's modules lie, with /usr merged or not.
func modulesDir(tree, version string) string {
	dir := filepath.Join(tree, "lib", "modules", version)
	if _, err := os.Stat(dir); err != nil {
		return filepath.Join(tree, "usr", "lib", "modules", version)
	}
	return dir
}

// replace writes a file under another name first.
func replace(path string, write func(*bufio.Writer) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".making-*")
	if err != nil {
		return fault.As(fault.Operator, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	out := bufio.NewWriterSize(file, 1<<20)
	if err := errors.Join(write(out), out.Flush(), file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(file.Name(), path)
}
