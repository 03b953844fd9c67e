package boot

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/open-executor/executor/internal/fault"
)

// Wanted are the modules that guests need, besides those that they depend on. Those that a kernel has built in are left out.
var Wanted = []string{
	"virtio_mmio", "virtio_pci", "virtio_blk", "virtio_console", "virtio_net", "virtio_rng", "vmw_vsock_virtio_transport", "squashfs", "overlay", "ext4",
}

// maxModule bounds a module, in bytes.
const maxModule = 64 << 20

// Module is a kernel module.
type Module struct {
	// Name as the kernel says it, with underscores.
	Name string
	Data []byte
}

// modules are those of one kernel.
type modules struct {
	tree    fs.FS
	files   map[string]string
	builtin map[string]bool
	order   []Module
	// seen are those in order, or being looked at.
	seen map[string]bool
}

// Modules returns the modules of a kernel (the directory /lib/modules/VERSION) with what they depend on, in an order in which they can be
// loaded one after the other. A module that is missing is an operator error.
func Modules(tree fs.FS, wanted []string) ([]Module, error) {
	m := &modules{tree: tree, files: map[string]string{}, builtin: map[string]bool{}, seen: map[string]bool{}}
	if err := m.find(); err != nil {
		return nil, fmt.Errorf("looking for kernel modules: %w", err)
	}
	for _, name := range wanted {
		if err := m.add(name, nil); err != nil {
			return nil, err
		}
	}
	return m.order, nil
}

// moduleName is the kernel's name for a module's file.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

func (m *modules) find() error {
	builtin, err := fs.ReadFile(m.tree, "modules.builtin")
	if err != nil {
		return fault.As(fault.Operator, err)
	}
	for line := range strings.Lines(string(builtin)) {
		m.builtin[moduleName(strings.TrimSpace(line))] = true
	}
	return fs.WalkDir(m.tree, "kernel", func(file string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && strings.Contains(path.Base(file), ".ko") {
			m.files[moduleName(file)] = file
		}
		return err
	})
}

func (m *modules) add(name string, above []string) error {
	if m.builtin[name] || m.seen[name] {
		return nil
	}
	m.seen[name] = true
	file, found := m.files[name]
	if !found {
		return fault.Operatorf("the kernel has no module %s, which guests need (%s)", name, strings.Join(append(above, name), " needs "))
	}
	if !strings.HasSuffix(file, ".ko") {
		return fault.Operatorf("module %s is compressed, which can't be read here; use Debian 12's kernel package", file)
	}
	info, err := fs.Stat(m.tree, file)
	if err != nil {
		return err
	}
	if info.Size() > maxModule {
		return fault.Operatorf("module %s measures %d bytes, more than %d", file, info.Size(), maxModule)
	}
	data, err := fs.ReadFile(m.tree, file)
	if err != nil {
		return err
	}
	needs, err := dependencies(data)
	if err != nil {
		return fault.Operatorf("module %s: %w", file, err)
	}
	for _, need := range needs {
		if err := m.add(need, append(above, name)); err != nil {
			return err
		}
	}
	m.order = append(m.order, Module{Name: name, Data: unsigned(data)})
	return nil
}

// signatureEnd ends a signed module, signatureSize is the size of the description of the signature before it, whose last four bytes are the
// signature's length (Documentation/admin-guide/module-signing.rst and include/linux/module_signature.h of Linux).
const (
	signatureEnd  = "~Module signature appended~\n"
	signatureSize = 12
)

// unsigned is a module without its signature. Modules come to the kernel in the same file as its first process, so a signature proves nothing,
// and to check it takes longer than to load the module where there is no KVM.
func unsigned(module []byte) []byte {
	rest, signed := bytes.CutSuffix(module, []byte(signatureEnd))
	if !signed || len(rest) < signatureSize {
		return module
	}
	length := uint64(binary.BigEndian.Uint32(rest[len(rest)-4:]))
	rest = rest[:len(rest)-signatureSize]
	if length > uint64(len(rest)) {
		return module
	}
	return rest[:uint64(len(rest))-length]
}

// dependencies reads a module's own list of those it needs: the entry "depends" of its section .modinfo.
func dependencies(module []byte) ([]string, error) {
	file, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return nil, err
	}
	section := file.Section(".modinfo")
	if section == nil {
		return nil, errors.New("it has no section .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	var names []string
	for entry := range bytes.SplitSeq(info, []byte{0}) {
		if list, found := bytes.CutPrefix(entry, []byte("depends=")); found && len(list) > 0 {
			for name := range strings.SplitSeq(string(list), ",") {
				names = append(names, strings.ReplaceAll(name, "-", "_"))
			}
		}
	}
	return names, nil
}
