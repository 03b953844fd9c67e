// Package programtest makes files that look like Go programs for Linux to whoever reads their headers. They can't be run; no Go toolchain is
// needed to make them.
package programtest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
)

// Program is what the file says of itself.
type Program struct {
	Machine   elf.Machine
	GoVersion string
	// Modules are the lines that the go command writes, such as "path\tx/cmd/y\nmod\tx\t(devel)\t\n"; empty, as Bazel leaves it.
	Modules string
	// Symbols are variables of type string and their values. Without any the file has no symbol table.
	Symbols map[string]string
	// Extra are bytes that follow.
	Extra string
}

const (
	base       = 0x400000
	headerSize = 64
	phdrSize   = 56
	shdrSize   = 64
	symSize    = 24
)

// Bytes is the file.
func (p Program) Bytes() []byte {
	var file bytes.Buffer
	put := func(parts ...any) {
		for _, part := range parts {
			if err := binary.Write(&file, binary.LittleEndian, part); err != nil {
				panic(err) // a buffer takes everything; a part that isn't of fixed size is this package's mistake
			}
		}
	}
	align := func() { file.Write(make([]byte, -file.Len()&15)) }

	file.Write(make([]byte, headerSize+phdrSize)) // filled in when all sizes are known
	align()
	infoStart := file.Len()
	file.WriteString("\xff Go buildinf:")
	put([2]byte{8, 2}, [16]byte{})
	modules := p.Modules
	if modules != "" {
		const mark = "0123456789abcdef"
		modules = mark + modules + mark
	}
	for _, text := range []string{p.GoVersion, modules} {
		file.Write(binary.AppendUvarint(nil, uint64(len(text))))
		file.WriteString(text)
	}
	file.Write(make([]byte, binary.MaxVarintLen64)) // readers of a string's length read as much
	infoSize := file.Len() - infoStart

	names := "\x00"
	symbols := make([]byte, symSize)
	for name, value := range p.Symbols {
		align()
		at := uint64(file.Len())
		put(uint64(base+at+16), uint64(len(value)))
		file.WriteString(value)
		symbols, _ = binary.Append(symbols, binary.LittleEndian, elf.Sym64{
			Name: uint32(len(names)), Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_OBJECT), Shndx: 1, Value: base + at, Size: 16,
		})
		names += name + "\x00"
	}
	file.WriteString(p.Extra)
	loaded := file.Len()

	sections := []elf.Section64{{}}
	sectionNames := "\x00"
	section := func(name string, s elf.Section64) {
		s.Name = uint32(len(sectionNames))
		sectionNames += name + "\x00"
		sections = append(sections, s)
	}
	section(".go.buildinfo", elf.Section64{Type: uint32(elf.SHT_PROGBITS), Addr: base + uint64(infoStart), Off: uint64(infoStart), Size: uint64(infoSize)})
	if len(p.Symbols) > 0 {
		section(".symtab", elf.Section64{Type: uint32(elf.SHT_SYMTAB), Off: uint64(file.Len()), Size: uint64(len(symbols)), Link: 3, Entsize: symSize})
		file.Write(symbols)
		section(".strtab", elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: uint64(file.Len()), Size: uint64(len(names))})
		file.WriteString(names)
	}
	sectionNames += ".shstrtab\x00"
	sections = append(sections, elf.Section64{
		Name: uint32(strings.Index(sectionNames, ".shstrtab")), Type: uint32(elf.SHT_STRTAB), Off: uint64(file.Len()), Size: uint64(len(sectionNames)),
	})
	file.WriteString(sectionNames)
	sectionsStart := file.Len()
	for _, s := range sections {
		put(s)
	}

	content := file.Bytes()
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	head, _ := binary.Append(nil, binary.LittleEndian, elf.Header64{
		Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(p.Machine), Version: uint32(elf.EV_CURRENT),
		Phoff: headerSize, Shoff: uint64(sectionsStart), Ehsize: headerSize, Phentsize: phdrSize, Phnum: 1,
		Shentsize: shdrSize, Shnum: uint16(len(sections)), Shstrndx: uint16(len(sections) - 1),
	})
	head, _ = binary.Append(head, binary.LittleEndian, elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W), Vaddr: base, Paddr: base,
		Filesz: uint64(loaded), Memsz: uint64(loaded), Align: 16,
	})
	copy(content, head)
	return content
}
