package boot

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/replace"
)

// Names of what Install makes in its directory.
const (
	// KernelFile is the ELF kernel: it needs no time to be unpacked.
	KernelFile    = "vmlinux"
	InitramfsFile = "initramfs"
)

// fileMode is that of both: monitors read them as users of their own.
const fileMode = 0o644

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
	err = replace.File(filepath.Join(dir, KernelFile), fileMode, func(out io.Writer) error {
		_, err := out.Write(kernel)
		return err
	})
	if err != nil {
		return err
	}
	return replace.File(filepath.Join(dir, InitramfsFile), fileMode, func(out io.Writer) error { return WriteInitramfs(out, program, modules) })
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
