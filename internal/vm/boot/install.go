package boot

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/open-executor/executor/internal/fault"
)

// Names of what Install makes in its directory.
const (
	// KernelFile is the ELF kernel: it needs no time to be unpacked.
	KernelFile    = "vmlinux"
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
	if err := checkStatic(program); err != nil {
		return fault.Operatorf("the guest agent %s: %w", agent, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.As(fault.Operator, err)
	}
	err = replace(filepath.Join(dir, KernelFile), func(out *bufio.Writer) error {
		_, err := out.Write(kernel)
		return err
	})
	if err != nil {
		return err
	}
	return replace(filepath.Join(dir, InitramfsFile), func(out *bufio.Writer) error { return WriteInitramfs(out, program, modules) })
}

// checkStatic makes sure that a program needs no other file: it is the first and only one in its machine.
func checkStatic(program []byte) error {
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return err
	}
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			return errors.New("it is linked dynamically, so nothing can start it there; build it with CGO_ENABLED=0")
		}
	}
	return nil
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
