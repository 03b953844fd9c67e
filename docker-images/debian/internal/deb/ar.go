package deb

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	arMagic      = "!<arch>\n"
	arHeaderSize = 60
	arHeaderEnd  = "`\n"
)

// member is one file of an ar archive. Its data is a part of the archive's own memory.
type member struct {
	name string
	data []byte
}

// readMembers reads an ar archive of the plain kind that deb(5) allows: short names, decimal sizes, data padded to even lengths.
func readMembers(archive []byte) ([]member, error) {
	rest, ok := bytes.CutPrefix(archive, []byte(arMagic))
	if !ok {
		return nil, errors.New("it is no ar archive: it does not begin with !<arch>")
	}
	var members []member
	for len(rest) > 0 {
		if len(members) == maxMembers {
			return nil, fmt.Errorf("more than %d members", maxMembers)
		}
		if len(rest) < arHeaderSize {
			return nil, fmt.Errorf("it ends within the header of member %d", len(members)+1)
		}
		header := rest[:arHeaderSize]
		rest = rest[arHeaderSize:]
		if string(header[58:]) != arHeaderEnd {
			return nil, fmt.Errorf("the header of member %d is damaged", len(members)+1)
		}
		name := strings.TrimSuffix(strings.TrimRight(string(header[:16]), " "), "/")
		digits := strings.TrimRight(string(header[48:58]), " ")
		size, err := strconv.ParseUint(digits, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("member %q: its size %q is no number", name, digits)
		}
		if size > uint64(len(rest)) {
			return nil, fmt.Errorf("member %q: it ends after %d of %d bytes", name, len(rest), size)
		}
		members = append(members, member{name: name, data: rest[:size]})
		rest = rest[size:]
		if size%2 == 1 && len(rest) > 0 {
			rest = rest[1:]
		}
	}
	return members, nil
}
