// Package program reads what a built Go program says of itself, without running it: the architecture it is for, the toolchain it was built
// with, the modules in it, and the version that was stamped into it.
package program

import (
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/open-executor/executor/internal/version"
)

// machines are the ELF machines of the architectures that are published, by Go's names.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64,
	"arm64": elf.EM_AARCH64,
}

// Program is a Go program for Linux, in a file.
type Program struct {
	// Path is where the file lies.
	Path string
	// GoVersion is the toolchain's, such as "go1.26.8".
	GoVersion string
	// Build is what the go command wrote into the program. Programs that Bazel built have none: Path, Main and Deps are empty then.
	Build *debug.BuildInfo

	arch  string
	stamp stamp
}

// Read reads the program in a file. It must be one for Linux on the architecture ("amd64" or "arm64").
func Read(path, arch string) (*Program, error) {
	machine, ok := machines[arch]
	if !ok {
		return nil, fmt.Errorf("architecture %q is not one that is published: those are amd64 and arm64", arch)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	headers, err := elf.NewFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s is no Linux program: %w", path, err)
	}
	if headers.Class != elf.ELFCLASS64 || headers.Machine != machine {
		return nil, fmt.Errorf("%s is for %s, and linux-%s was expected: are the two executors swapped?", path, machineName(headers.Machine), arch)
	}
	if headers.Type != elf.ET_EXEC && headers.Type != elf.ET_DYN {
		return nil, fmt.Errorf("%s is no program but an object file (%s)", path, headers.Type)
	}
	build, err := buildinfo.Read(file)
	if err != nil {
		return nil, fmt.Errorf("%s is no Go program: %w", path, err)
	}
	stamp, err := readStamp(headers)
	if err != nil {
		return nil, fmt.Errorf("reading the version in %s: %w", path, err)
	}
	return &Program{Path: path, GoVersion: build.GoVersion, Build: build, arch: arch, stamp: stamp}, nil
}

// HasModules reports whether the program lists the modules it was built from.
func (p *Program) HasModules() bool { return p.Build.Main.Path != "" }

// CheckStamp returns an error unless the program carries the version. A program that was not stamped carries that of a development build. Its time
// may be older than the commit's: a program is not linked again for a commit that changed nothing in it.
func (p *Program) CheckStamp(wanted string, commitTime int64) error {
	var err error
	switch {
	case p.stamp.known:
		err = p.stamp.check(wanted, commitTime)
	case !version.IsDev(wanted):
		err = p.searchStamp(wanted)
	}
	if err != nil {
		return fmt.Errorf("%s %w; build it with --config=release", p.Path, err)
	}
	return nil
}

func machineName(machine elf.Machine) string {
	for arch, known := range machines {
		if machine == known {
			return "linux-" + arch
		}
	}
	return strings.TrimPrefix(machine.String(), "EM_")
}
