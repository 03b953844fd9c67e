// Package rootfs puts Debian packages together to the root of an image, in memory, and writes a layer of it. It does by itself what
// dpkg and the maintainer scripts would do in a root: nothing of a package is ever run, and nothing is unpacked to disk, so that it
// needs neither root nor a chroot and a hostile package reaches no file of the machine.
package rootfs

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-executor/executor/docker-images/debian/internal/deb"
)

// node is what lies at a path.
type node struct {
	kind     deb.Kind // Directory, File or Symlink; hard links are files that share an inode
	mode     int64
	uid, gid int
	target   string
	inode    *inode
	// owner is the package that brought it, for messages.
	owner string
	// level is the number of the layer that brought it, from 0 for the lowest.
	level int
}

// inode is the contents of a regular file. Hard links share it.
type inode struct{ data []byte }

// tree is a root that grows layer by layer.
type tree struct {
	nodes map[string]*node
	// level is the layer that is being made.
	level int
}

func newTree() *tree { return &tree{nodes: make(map[string]*node)} }

// put adds a node. A path is given once; a directory may come again if it is the same.
func (t *tree) put(name string, n *node) error {
	n.level = t.level
	old, there := t.nodes[name]
	if !there {
		t.nodes[name] = n
		return nil
	}
	if old.kind != deb.Directory || n.kind != deb.Directory {
		return fmt.Errorf("%s is in %s and in %s", name, old.owner, n.owner)
	}
	if old.mode != n.mode || old.uid != n.uid || old.gid != n.gid {
		return fmt.Errorf("directory %s is %04o %d:%d in %s and %04o %d:%d in %s", name,
			old.mode, old.uid, old.gid, old.owner, n.mode, n.uid, n.gid, n.owner)
	}
	return nil
}

// replace puts a file or a link in place of what is there, if anything. An empty directory of the same layer may go; a full one may not,
// and one of a lower layer would not.
func (t *tree) replace(name string, n *node) error {
	if old, there := t.nodes[name]; there {
		if old.kind == deb.Directory {
			if old.level != t.level {
				return fmt.Errorf("%s would replace %s, which is a directory of a lower layer", n.owner, name)
			}
			for below := range t.nodes {
				if strings.HasPrefix(below, name+"/") {
					return fmt.Errorf("%s would replace %s, and %s lies below it", n.owner, name, below)
				}
			}
		}
		delete(t.nodes, name)
	}
	return t.put(name, n)
}

// file adds a regular file that no package brought, in place of one that did.
func (t *tree) file(owner, name string, mode int64, data []byte) error {
	return t.replace(name, &node{kind: deb.File, mode: mode, inode: &inode{data}, owner: owner})
}

func (t *tree) symlink(owner, name, target string) error {
	return t.replace(name, &node{kind: deb.Symlink, mode: 0o777, target: target, owner: owner})
}

// directory adds a directory unless there is one, whatever its mode.
func (t *tree) directory(owner, name string, mode int64, uid, gid int) error {
	if old, there := t.nodes[name]; there && old.kind == deb.Directory {
		return nil
	}
	return t.put(name, &node{kind: deb.Directory, mode: mode, uid: uid, gid: gid, owner: owner})
}

// read returns the contents of a file of a package.
func (t *tree) read(name string) ([]byte, error) {
	n, there := t.nodes[name]
	if !there || n.kind != deb.File {
		return nil, fmt.Errorf("there is no file %s", name)
	}
	return n.inode.data, nil
}

// close adds the directories that are above something and that nobody brought, and sees to it that all that lies below something
// lies below a directory: below a link or a file it would land elsewhere, or nowhere.
func (t *tree) close() error {
	for _, name := range slices.Sorted(maps.Keys(t.nodes)) {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			above, there := t.nodes[dir]
			switch {
			case !there:
				t.nodes[dir] = &node{kind: deb.Directory, mode: 0o755, owner: t.nodes[name].owner, level: t.level}
			case above.kind != deb.Directory:
				return fmt.Errorf("%s of %s lies below %s, which is no directory in %s", name, t.nodes[name].owner, dir, above.owner)
			}
		}
	}
	return nil
}
