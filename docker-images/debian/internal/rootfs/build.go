package rootfs

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/open-executor/executor/docker-images/debian/internal/deb"
	"github.com/open-executor/executor/docker-images/debian/internal/definition"
)

// maxRoot is how much the files of a root may hold together, in bytes.
const maxRoot = 2 << 30

// Layer is a set and its packages, in any order.
type Layer struct {
	Set      definition.Set
	Packages []*deb.Package
}

// Root is a root with all its layers.
type Root struct{ tree *tree }

// Build makes the root of an architecture from its layers, the lowest first. Drop and scripts are those of the definition.
func Build(architecture string, drop []string, scripts map[string]string, layers []Layer) (*Root, error) {
	b := &builder{tree: newTree(), architecture: architecture, drop: drop, scripts: scripts}
	for level, layer := range layers {
		b.tree.level = level
		if err := b.add(layer); err != nil {
			return nil, err
		}
	}
	return &Root{tree: b.tree}, nil
}

type builder struct {
	tree         *tree
	architecture string
	drop         []string
	scripts      map[string]string
	bytes        int64
}

func (b *builder) add(layer Layer) error {
	packages := slices.Clone(layer.Packages)
	slices.SortFunc(packages, func(a, c *deb.Package) int {
		return strings.Compare(a.Control.Get("Package"), c.Control.Get("Package"))
	})
	if b.tree.level == 0 {
		if err := b.mergeUsr(); err != nil {
			return err
		}
	}
	keep := newFilter(b.drop, layer.Set)
	for _, p := range packages {
		if err := b.unpack(p, keep); err != nil {
			return fmt.Errorf("package %s: %w", p.Control.Get("Package"), err)
		}
	}
	if err := keep.unmet(); err != nil {
		return err
	}
	// With all files there, in an order that does not depend on that of the packages.
	if len(layer.Set.Only) == 0 {
		for _, p := range packages {
			if err := b.configure(p); err != nil {
				return fmt.Errorf("package %s: %w", p.Control.Get("Package"), err)
			}
		}
	}
	for _, user := range layer.Set.Users {
		if err := b.addUser(user); err != nil {
			return fmt.Errorf("user %s: %w", user.Name, err)
		}
	}
	return b.tree.close()
}

// unpack adds what the filter keeps of a package's files, and its record for scanners.
func (b *builder) unpack(p *deb.Package, keep *filter) error {
	name, architecture := p.Control.Get("Package"), p.Control.Get("Architecture")
	if architecture != b.architecture && architecture != "all" {
		return fmt.Errorf("it is for %s, and the root for %s", architecture, b.architecture)
	}
	// Hard links name files of the same package; those may be left out while the link is kept.
	files := make(map[string]*node)
	same := make(map[likeness]*inode)
	err := p.Walk(func(entry deb.Entry, body io.Reader) error {
		place := merged(entry.Name)
		n := &node{kind: entry.Kind, mode: entry.Mode, uid: entry.UID, gid: entry.GID, target: entry.Target, owner: name}
		switch entry.Kind {
		case deb.File:
			if b.bytes += entry.Size; b.bytes > maxRoot {
				return fmt.Errorf("the root holds more than %d bytes", maxRoot)
			}
			data, err := io.ReadAll(body)
			if err != nil {
				return err
			}
			if !keep.setuid(place) {
				n.mode &^= 0o6000
			}
			n.inode = share(same, n, data)
			files[place] = n
		case deb.Hardlink:
			// One file has one mode and owner, whatever its links say.
			original, there := files[merged(entry.Target)]
			if !there {
				return fmt.Errorf("it links to %s, which no earlier entry is", entry.Target)
			}
			linked := *original
			n, files[place] = &linked, &linked
		}
		if !keep.wants(place, n.kind) {
			return nil
		}
		return b.tree.put(place, n)
	})
	if err != nil {
		return err
	}
	return b.record(p)
}

// likeness is what files of one package have in common that become one.
type likeness struct {
	sum      [sha256.Size]byte
	mode     int64
	uid, gid int
}

// worthSharing is from which size on, in bytes, files are looked at for being the same.
const worthSharing = 64 << 10

// share returns the inode of an earlier file of the package with the same contents, mode and owner, or a new one: git's package has its
// program twice, which git itself would install as hard links.
func share(same map[likeness]*inode, n *node, data []byte) *inode {
	if len(data) < worthSharing {
		return &inode{data}
	}
	key := likeness{sha256.Sum256(data), n.mode, n.uid, n.gid}
	if same[key] == nil {
		same[key] = &inode{data}
	}
	return same[key]
}

// record writes what scanners read: the package's paragraph, and the sums of the files that were kept. The folder is that of
// distroless images, one file for each package, so that a layer adds its own without rewriting those below.
func (b *builder) record(p *deb.Package) error {
	name := p.Control.Get("Package")
	if name == "" || name != path.Base(name) || strings.HasPrefix(name, ".") {
		return errors.New("its control file has no proper name")
	}
	status := deb.Paragraph{p.Control[0], {Name: "Status", Value: "install ok installed"}}
	status = append(status, p.Control[1:]...)
	var sums strings.Builder
	for line := range strings.Lines(p.Sums) {
		_, file, found := strings.Cut(strings.TrimRight(line, "\n"), "  ")
		if n := b.tree.nodes[merged(file)]; found && n != nil && n.owner == name {
			sums.WriteString(line)
		}
	}
	const folder = "var/lib/dpkg/status.d/"
	if err := b.tree.put(folder+name, &node{kind: deb.File, mode: 0o644, inode: &inode{[]byte(status.String())}, owner: name}); err != nil {
		return err
	}
	return b.tree.put(folder+name+".md5sums", &node{kind: deb.File, mode: 0o644, inode: &inode{[]byte(sums.String())}, owner: name})
}
