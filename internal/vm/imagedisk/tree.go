package imagedisk

import (
	"archive/tar"
	"fmt"
	"path"
	"strings"
)

// node is a name in the tree. Layer is the one that gave it last.
type node struct {
	*inode
	layer    int
	children map[string]*node
}

// tree is an image's files while its layers are laid on each other.
type tree struct {
	root   *node
	limits Limits
	// entries counts what was put into the tree, whether it is still there or not.
	entries int
	// hidden holds what the present layer's whiteouts took away, by path: its hard links may still refer to it.
	hidden map[string]*node
}

func newTree(limits Limits) *tree { return &tree{root: newDir(0), limits: limits} }

func newDir(layer int) *node {
	return &node{inode: &inode{typeflag: tar.TypeDir, mode: 0o755}, layer: layer}
}

// count takes note of one more entry.
func (t *tree) count() error {
	if t.entries++; t.entries > t.limits.Entries {
		return fmt.Errorf("the image has more than %d entries", t.limits.Entries)
	}
	return nil
}

// hide applies a layer's whiteouts and opaque marks. They come before its other entries, so that they touch lower layers only.
func (t *tree) hide(entries []entry) {
	t.hidden = map[string]*node{}
	for _, e := range entries {
		switch e.action {
		case opaque:
			if n := t.exact(e.path); n != nil {
				n.children = nil
			}
		case whiteout:
			dir, base := path.Split(e.path)
			if parent := t.exact(strings.TrimSuffix(dir, "/")); parent != nil && parent.children[base] != nil {
				t.hidden[e.path] = parent.children[base]
				delete(parent.children, base)
			}
		}
	}
}

// exact returns the node with that path, nil when there is none. It follows no symlink.
func (t *tree) exact(path string) *node {
	n := t.root
	if path == "" {
		return n
	}
	for name := range strings.SplitSeq(path, "/") {
		if n = n.children[name]; n == nil {
			return nil
		}
	}
	return n
}

// put adds a file or directory, or the hard link that e is.
func (t *tree) put(e entry, layer int) error {
	if e.path == "" {
		if e.action == link || !e.inode.isDir() {
			return fmt.Errorf("it would take the place of the root directory")
		}
		// The disk's root is always the same (Make).
		return nil
	}
	n := &node{inode: e.inode, layer: layer}
	if e.action == link {
		target, err := t.linkTarget(e.target)
		if err != nil {
			return err
		}
		n.inode = target.inode
		n.linked = true
	}
	dir, base := path.Split(e.path)
	parent, err := t.walk(dir, layer)
	if err != nil {
		return err
	}
	if old := parent.children[base]; old != nil && old.isDir() && n.isDir() {
		old.inode, old.layer = n.inode, layer
		return nil
	}
	parent.set(base, n)
	return nil
}

func (n *node) set(name string, child *node) {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	n.children[name] = child
}

func (t *tree) linkTarget(target string) (*node, error) {
	dir, base := path.Split(target)
	parent, err := t.walk(dir, following)
	if err != nil {
		return nil, err
	}
	var found *node
	if parent != nil {
		found = parent.children[base]
	}
	if found == nil {
		found = t.hidden[target]
	}
	switch {
	case found == nil:
		return nil, fmt.Errorf("it is a hard link to %q, which is not there", target)
	case found.isDir():
		return nil, fmt.Errorf("it is a hard link to %q, which is a directory", target)
	}
	return found, nil
}

// following makes walk follow every symlink and make nothing.
const following = -1

// walk returns the directory at path. For a layer it follows that layer's own symlinks and makes what is missing; with following it
// returns nil when something is missing. It never leaves the root: ".." there stays there, as for a process with that root.
func (t *tree) walk(path string, layer int) (*node, error) {
	type step struct {
		*node
		length int
	}
	stack := []step{{t.root, 0}}
	links := 0
	for rest := path; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		top := stack[len(stack)-1]
		if name == "" || name == "." {
			continue
		}
		if name == ".." {
			stack = stack[:max(1, len(stack)-1)]
			continue
		}
		child := top.children[name]
		if child != nil && child.typeflag == tar.TypeSymlink && (layer == following || child.layer == layer) {
			if links++; links > maxLinks {
				return nil, fmt.Errorf("more than %d symlinks lead to it", maxLinks)
			}
			if strings.HasPrefix(child.target, "/") {
				stack = stack[:1]
			}
			rest = child.target + "/" + rest
			continue
		}
		if child == nil || !child.isDir() {
			if layer == following {
				return nil, nil
			}
			if err := t.count(); err != nil {
				return nil, err
			}
			child = newDir(layer)
			top.set(name, child)
		}
		next := step{child, top.length + len(name) + 1}
		if next.length > t.limits.NameLength || len(name) > maxComponent {
			return nil, fmt.Errorf("symlinks make its path longer than %d bytes", t.limits.NameLength)
		}
		stack = append(stack, next)
	}
	return stack[len(stack)-1].node, nil
}
