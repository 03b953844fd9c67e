package rootfs

import (
	"archive/tar"
	"io"
	"maps"
	"slices"
	"time"

	// Pinned by go.mod, unlike the standard library's, so that a new Go does not change the bytes of an image.
	"github.com/klauspost/compress/gzip"

	"github.com/open-executor/executor/docker-images/debian/internal/deb"
)

// compressionLevel is gzip's best: a layer is made once and pulled often.
const compressionLevel = 9

// modified is the time of every entry, the one that rules_pkg gives its own: 2000-01-01.
var modified = time.Unix(946684800, 0).UTC()

// WriteLayer writes the topmost layer as a gzipped tar archive: what it adds to those below and nothing that they have. The bytes depend
// on the packages and the definition alone.
func (r *Root) WriteLayer(to io.Writer) error {
	compressed, err := gzip.NewWriterLevel(to, compressionLevel)
	if err != nil {
		return err
	}
	if err := r.tree.writeTar(compressed); err != nil {
		return err
	}
	return compressed.Close()
}

func (t *tree) writeTar(to io.Writer) error {
	archive := tar.NewWriter(to)
	// The first path of an inode carries the contents, those after it link there.
	first := make(map[*inode]string)
	for _, name := range slices.Sorted(maps.Keys(t.nodes)) {
		n := t.nodes[name]
		if n.level != t.level {
			continue
		}
		header := &tar.Header{Name: name, Mode: n.mode, Uid: n.uid, Gid: n.gid, ModTime: modified}
		var body []byte
		switch n.kind {
		case deb.Directory:
			header.Typeflag, header.Name = tar.TypeDir, name+"/"
		case deb.Symlink:
			header.Typeflag, header.Linkname = tar.TypeSymlink, n.target
		default:
			if earlier, linked := first[n.inode]; linked {
				header.Typeflag, header.Linkname = tar.TypeLink, earlier
				break
			}
			first[n.inode] = name
			body = n.inode.data
			header.Typeflag, header.Size = tar.TypeReg, int64(len(body))
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(body); err != nil {
			return err
		}
	}
	return archive.Close()
}
