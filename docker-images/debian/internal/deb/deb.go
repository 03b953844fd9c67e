// Package deb reads Debian binary packages, format 2.0 of deb(5), from memory. It trusts nothing in them: every size and number is
// bounded, every path stays below the root, and only directories, regular files, hard links and symbolic links are let through.
// Nothing is ever written to disk.
package deb

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// What one package may hold at most. Debian's largest packages that belong into an image stay well below.
const (
	maxMembers  = 16
	maxControl  = 4 << 20 // bytes of the unpacked control archive
	maxUnpacked = 1 << 30 // bytes of the unpacked data archive
	maxEntries  = 200_000
)

// scriptNames are the maintainer scripts that run when a package is installed.
var scriptNames = []string{"preinst", "postinst"}

// Package is a binary package, its control part read and its data part not yet.
type Package struct {
	// Control is the package's paragraph.
	Control Paragraph
	// Sums is md5sums as it stands in the package, empty where it has none: "<md5>  <path>" per line.
	Sums string
	// Scripts names the maintainer scripts that an installation would run, sorted.
	Scripts []string

	data member
}

// Read reads the control part of the package file. The file must not change while the Package is in use.
func Read(file []byte) (*Package, error) {
	members, err := readMembers(file)
	if err != nil {
		return nil, err
	}
	// Names with an underscore in front are reserved for others and may stand anywhere.
	members = slices.DeleteFunc(members, func(m member) bool { return strings.HasPrefix(m.name, "_") })
	if len(members) != 3 || members[0].name != "debian-binary" ||
		!strings.HasPrefix(members[1].name, "control.tar") || !strings.HasPrefix(members[2].name, "data.tar") {
		return nil, fmt.Errorf("its members are %q; a package has debian-binary, control.tar and data.tar", names(members))
	}
	if version := strings.TrimSpace(string(members[0].data[:min(16, len(members[0].data))])); !strings.HasPrefix(version, "2.") {
		return nil, fmt.Errorf("its format is %q; only 2.x is known", version)
	}
	p := &Package{data: members[2]}
	if err := p.readControl(members[1]); err != nil {
		return nil, fmt.Errorf("%s: %w", members[1].name, err)
	}
	return p, nil
}

func names(members []member) []string {
	var all []string
	for _, m := range members {
		all = append(all, m.name)
	}
	return all
}

func (p *Package) readControl(m member) error {
	found := false
	err := walk(m, maxControl, func(entry Entry, body io.Reader) error {
		if entry.Kind != File || path.Dir(entry.Name) != "." {
			return nil
		}
		switch {
		case entry.Name == "control":
			text, err := io.ReadAll(body)
			if err != nil {
				return err
			}
			found = true
			p.Control, err = ParseParagraph(string(text))
			return err
		case entry.Name == "md5sums":
			text, err := io.ReadAll(body)
			p.Sums = string(text)
			return err
		case slices.Contains(scriptNames, entry.Name):
			p.Scripts = append(p.Scripts, entry.Name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !found {
		return errors.New("it holds no control file")
	}
	slices.Sort(p.Scripts)
	return nil
}

// Walk calls visit for every entry of the data part in the archive's order; the root itself is left out. The body is the contents of a
// regular file, to be read before visit returns. What visit returns ends the walk.
func (p *Package) Walk(visit func(entry Entry, body io.Reader) error) error {
	if err := walk(p.data, maxUnpacked, visit); err != nil {
		return fmt.Errorf("%s: %w", p.data.name, err)
	}
	return nil
}
