package boot

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cavaliergopher/cpio"
)

// AgentPath is where the agent finds itself, ModulesDir where it finds the modules: their names begin with numbers in the order in which they
// are to be loaded.
const (
	AgentPath  = "init"
	ModulesDir = "modules"
)

// WriteInitramfs writes the archive that a kernel unpacks into its first root. It isn't compressed: a guest without KVM would take longer to
// unpack it than to read it. The same input gives the same bytes.
func WriteInitramfs(out io.Writer, agent []byte, modules []Module) error {
	archive := cpio.NewWriter(out)
	for _, dir := range []string{"dev", "proc", "sys", "run", "root", ModulesDir} {
		if err := put(archive, dir, cpio.TypeDir|0o755, nil); err != nil {
			return err
		}
	}
	if err := put(archive, AgentPath, cpio.TypeReg|0o755, agent); err != nil {
		return err
	}
	for i, module := range modules {
		if err := put(archive, ModuleFile(i, module.Name), cpio.TypeReg|0o644, module.Data); err != nil {
			return err
		}
	}
	return archive.Close()
}

// ModuleFile is the path of the i-th module.
func ModuleFile(i int, name string) string { return fmt.Sprintf("%s/%03d-%s.ko", ModulesDir, i, name) }

// ModuleOf is the module's name in a path of ModuleFile.
func ModuleOf(file string) string {
	_, name, _ := strings.Cut(file, "-")
	return strings.TrimSuffix(name, ".ko")
}

func put(archive *cpio.Writer, name string, mode cpio.FileMode, content []byte) error {
	header := &cpio.Header{Name: name, Mode: mode, Size: int64(len(content)), ModTime: time.Unix(0, 0), Links: 1}
	if err := archive.WriteHeader(header); err != nil {
		return fmt.Errorf("initramfs: %s: %w", name, err)
	}
	if _, err := io.Copy(archive, bytes.NewReader(content)); err != nil {
		return fmt.Errorf("initramfs: %s: %w", name, err)
	}
	return nil
}
