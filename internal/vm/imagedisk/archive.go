package imagedisk

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/open-executor/executor/internal/fault"
)

// archiver writes a tree as an archive.
type archiver struct {
	ctx   context.Context
	to    *tar.Writer
	spool io.ReaderAt
	first map[*inode]string
	ids   map[int]bool
}

// write writes the tree as a tar archive whose bytes depend on the tree alone: directories before what is in them, names sorted by their
// bytes, a file's further names as hard links to its first. The root has no entry.
func (t *tree) write(ctx context.Context, to io.Writer, spool io.ReaderAt) error {
	a := &archiver{ctx: ctx, to: tar.NewWriter(to), spool: spool, first: map[*inode]string{}, ids: map[int]bool{}}
	if err := a.directory("", t.root, t.limits.NameLength); err != nil {
		return err
	}
	return a.to.Close()
}

func (a *archiver) directory(prefix string, dir *node, limit int) error {
	for _, name := range slices.Sorted(maps.Keys(dir.children)) {
		child := dir.children[name]
		path := prefix + name
		if len(path) > limit {
			return fault.Userf("%q: symlinks make its path longer than %d bytes", shorten(path), limit)
		}
		if err := a.file(path, child); err != nil {
			return err
		}
		if err := a.directory(path+"/", child, limit); err != nil {
			return err
		}
	}
	return nil
}

func (a *archiver) file(path string, n *node) error {
	if a.ctx.Err() != nil {
		return context.Cause(a.ctx)
	}
	a.ids[n.uid], a.ids[n.gid] = true, true
	if len(a.ids) > maxIDs {
		return fault.Userf("its files have more than %d different owners and groups", maxIDs)
	}
	header := n.header(path)
	if n.linked {
		if first, ok := a.first[n.inode]; ok {
			header = &tar.Header{Typeflag: tar.TypeLink, Name: path, Linkname: first, ModTime: header.ModTime}
		} else {
			a.first[n.inode] = path
		}
	}
	if err := a.to.WriteHeader(header); err != nil {
		return fmt.Errorf("writing the header of %q: %w", shorten(path), err)
	}
	if header.Size == 0 {
		return nil
	}
	if _, err := io.Copy(a.to, io.NewSectionReader(a.spool, n.offset, n.size)); err != nil {
		return fmt.Errorf("writing %q: %w", shorten(path), err)
	}
	return nil
}

func (i *inode) header(path string) *tar.Header {
	header := &tar.Header{
		Typeflag: i.typeflag,
		Name:     path,
		Linkname: i.target,
		Size:     i.size,
		Mode:     i.mode,
		Uid:      i.uid,
		Gid:      i.gid,
		ModTime:  time.Unix(i.modified, 0),
		Devmajor: i.major,
		Devminor: i.minor,
	}
	if i.isDir() {
		header.Name += "/"
	}
	if len(i.xattrs) > 0 {
		header.PAXRecords = map[string]string{}
		for name, value := range i.xattrs {
			header.PAXRecords[xattrPrefix+name] = value
		}
	}
	return header
}
