package rootfs

import (
	"strings"

	"github.com/open-executor/executor/docker-images/debian/internal/deb"
)

// Debian 12's roots have a merged /usr: /bin and its like are links, though packages still bring files below them.
var mergedFolders = []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"}

// merged is where a path of a package lies.
func merged(name string) string {
	first, _, _ := strings.Cut(name, "/")
	for _, folder := range mergedFolders {
		if first == folder {
			return "usr/" + name
		}
	}
	return name
}

// mergeUsr makes the links that every root of the architecture has; base-files does not bring them.
func (b *builder) mergeUsr() error {
	links := []string{"bin", "lib", "sbin"}
	if b.architecture == "amd64" {
		// The program loader's path begins with it.
		links = append(links, "lib64")
	}
	for _, name := range links {
		err := b.tree.put(name, &node{kind: deb.Symlink, mode: 0o777, target: "usr/" + name, owner: "the merged /usr"})
		if err != nil {
			return err
		}
	}
	return nil
}
