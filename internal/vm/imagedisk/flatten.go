package imagedisk

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/open-executor/executor/internal/fault"
)

// layer is one layer of an image.
type layer struct {
	// digest names it in errors. The diffID is "sha256:" and the hexadecimal digest of its uncompressed bytes.
	digest, diffID string
	// open returns its bytes, plain or compressed by gzip or zstd.
	open func() (io.ReadCloser, error)
}

// spooled is the file that takes up the contents of files.
type spooled struct {
	to     *bufio.Writer
	offset int64
	err    error
}

func (s *spooled) Write(p []byte) (int, error) {
	n, err := s.to.Write(p)
	s.offset += int64(n)
	s.err = errors.Join(s.err, err)
	return n, err
}

// flattener lays layers on each other.
type flattener struct {
	ctx      context.Context
	tree     *tree
	spool    *spooled
	limits   Limits
	raw      int64
	metadata int64
}

// flatten lays the layers on each other, the lowest first. What the files hold goes into spool. Its errors are user errors when a layer is
// not as it should be, and of type *pullError when it couldn't be read.
func flatten(ctx context.Context, layers []layer, spool *os.File, limits Limits) (*tree, error) {
	limits = limits.withDefaults()
	if len(layers) > limits.Layers {
		return nil, fault.Userf("it has %d layers, %d are allowed", len(layers), limits.Layers)
	}
	f := &flattener{ctx: ctx, tree: newTree(limits), spool: &spooled{to: bufio.NewWriterSize(spool, 1<<20)}, limits: limits}
	for i, l := range layers {
		if err := f.layer(i+1, l); err != nil {
			return nil, err
		}
	}
	return f.tree, f.spool.to.Flush()
}

func (f *flattener) layer(number int, l layer) (err error) {
	opened, err := l.open()
	if err != nil {
		return &pullError{err}
	}
	source := &source{ctx: f.ctx, from: opened}
	defer func() {
		closeErr := opened.Close()
		switch {
		case f.spool.err != nil:
			err = f.spool.err
		case source.err != nil:
			err = &pullError{source.err}
		case err != nil:
			err = fault.Userf("layer %d (%s): %w", number, l.digest, err)
		case closeErr != nil:
			err = &pullError{closeErr}
		}
	}()
	plain, err := decompress(source)
	if err != nil {
		return err
	}
	defer plain.Close()
	hash := sha256.New()
	entries, err := f.read(io.TeeReader(&meter{from: plain, used: &f.raw, limit: f.limits.Bytes}, hash))
	if err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(hash.Sum(nil)); got != l.diffID {
		return fmt.Errorf("its content has the digest %s, the image's configuration says %s", got, l.diffID)
	}
	return f.apply(entries, number)
}

// read reads an archive to its end.
func (f *flattener) read(from io.Reader) ([]named, error) {
	archive := tar.NewReader(from)
	var entries []named
	for {
		header, err := archive.Next()
		if err == io.EOF {
			_, err := io.Copy(io.Discard, from)
			return entries, err
		}
		if err != nil {
			return nil, err
		}
		e, err := f.entry(header, archive)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", shorten(header.Name), err)
		}
		if e.action != ignore {
			entries = append(entries, named{e, header.Name})
		}
	}
}

// named is an entry with its name as it stands in the archive.
type named struct {
	entry
	name string
}

func (f *flattener) entry(header *tar.Header, content io.Reader) (entry, error) {
	if err := f.tree.count(); err != nil {
		return entry{}, err
	}
	e, err := newEntry(header, f.limits)
	if err != nil {
		return entry{}, err
	}
	if f.metadata += e.metadata() + int64(len(header.Name)); f.metadata > f.limits.Metadata {
		return entry{}, fmt.Errorf("the image's names and xattrs measure more than %d bytes", f.limits.Metadata)
	}
	if e.inode == nil || e.inode.size == 0 {
		return e, nil
	}
	if e.inode.size > f.limits.Bytes-f.spool.offset {
		return entry{}, fmt.Errorf("its %d bytes make the image's files larger than %d bytes", e.inode.size, f.limits.Bytes)
	}
	e.inode.offset = f.spool.offset
	n, err := io.Copy(f.spool, content)
	if err == nil && n != e.inode.size {
		err = fmt.Errorf("it has %d of %d bytes", n, e.inode.size)
	}
	return e, err
}

func (f *flattener) apply(entries []named, layer int) error {
	plain := make([]entry, len(entries))
	for i, e := range entries {
		plain[i] = e.entry
	}
	f.tree.hide(plain)
	for _, e := range entries {
		if e.action != add && e.action != link {
			continue
		}
		if err := f.tree.put(e.entry, layer); err != nil {
			return fmt.Errorf("%q: %w", shorten(e.name), err)
		}
	}
	return nil
}

// shorten bounds what an error quotes of a hostile name.
func shorten(text string) string {
	const most = 300
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}
