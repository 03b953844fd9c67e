package program

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// The variables of internal/version that are set at link time.
const (
	versionVariable   = "github.com/open-executor/executor/internal/version.version"
	timestampVariable = "github.com/open-executor/executor/internal/version.timestamp"
)

const (
	// maxStamp bounds the length of a stamped string.
	maxStamp = 256
	// headerSize is that of a Go string: an address and a length, of eight bytes each.
	headerSize = 16
)

// stamp is what the linker was told to put in.
type stamp struct {
	// known says that the program kept its symbols: without them the rest is empty.
	known bool
	// version and timestamp are nil where the program doesn't have the variable: the linker leaves out what nothing reads.
	version, timestamp *string
}

func (s stamp) check(version string, commitTime int64) error {
	if s.version == nil {
		return fmt.Errorf("has no variable %s: it is no executor", versionVariable)
	}
	if *s.version != version {
		return fmt.Errorf("carries the version %q, and this commit's is %q", *s.version, version)
	}
	if s.timestamp == nil || *s.timestamp == "" {
		return nil
	}
	seconds, err := strconv.ParseInt(*s.timestamp, 10, 64)
	if err != nil || seconds <= 0 {
		return fmt.Errorf("carries %q as its time, which is no number of seconds", *s.timestamp)
	}
	if seconds > commitTime {
		return fmt.Errorf("carries the time %d, which is after its commit's (%d): it was built from something newer", seconds, commitTime)
	}
	return nil
}

// readStamp reads the variables by the symbol table.
func readStamp(file *elf.File) (stamp, error) {
	symbols, err := file.Symbols()
	if errors.Is(err, elf.ErrNoSymbols) {
		return stamp{}, nil
	}
	if err != nil {
		return stamp{}, err
	}
	read := stamp{known: true}
	for _, symbol := range symbols {
		var variable **string
		switch symbol.Name {
		case versionVariable:
			variable = &read.version
		case timestampVariable:
			variable = &read.timestamp
		default:
			continue
		}
		text, err := stringAt(file, symbol.Value)
		if err != nil {
			return stamp{}, fmt.Errorf("%s: %w", symbol.Name, err)
		}
		*variable = &text
	}
	return read, nil
}

// stringAt reads a variable of type string.
func stringAt(file *elf.File, address uint64) (string, error) {
	header, err := bytesAt(file, address, headerSize)
	if err != nil {
		return "", err
	}
	start, length := file.ByteOrder.Uint64(header), file.ByteOrder.Uint64(header[8:])
	if length == 0 {
		return "", nil
	}
	if length > maxStamp {
		return "", fmt.Errorf("is %d bytes long, more than %d", length, maxStamp)
	}
	text, err := bytesAt(file, start, length)
	return string(text), err
}

// bytesAt reads what the program has in memory when it starts. An uninitialised variable is zero.
func bytesAt(file *elf.File, address, length uint64) ([]byte, error) {
	for _, segment := range file.Progs {
		if segment.Type != elf.PT_LOAD || address < segment.Vaddr || address-segment.Vaddr > segment.Memsz || segment.Memsz-(address-segment.Vaddr) < length {
			continue
		}
		found := make([]byte, length)
		if offset := address - segment.Vaddr; offset < segment.Filesz {
			inFile := min(length, segment.Filesz-offset)
			if _, err := segment.ReadAt(found[:inFile], int64(offset)); err != nil {
				return nil, err
			}
		}
		return found, nil
	}
	return nil, fmt.Errorf("address %#x is in no segment", address)
}

// searchStamp looks for the version anywhere in the program: all that can be done without symbols. The linker ends a string that it was told to put
// in with a zero byte, and no other string, so that the versions of modules are not taken for it.
func (p *Program) searchStamp(version string) error {
	content, err := os.ReadFile(p.Path)
	if err != nil {
		return err
	}
	if !bytes.Contains(content, []byte(version+"\x00")) {
		return fmt.Errorf("does not carry this commit's version %q", version)
	}
	return nil
}
