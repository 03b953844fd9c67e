// Package ocidir reads and writes OCI image layouts: folders with an index.json and blobs that are named by their digests. What is read
// is taken for hostile: nothing comes out of a layout that was not held against its digest and its size.
package ocidir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxDocument is what registries accept of a manifest, and far more than any has.
const maxDocument = 4 << 20

// Layout is a layout on disk that is read. Files in it may be links: Bazel's sandbox and the real rules_oci make some.
type Layout struct {
	dir       string
	manifests []v1.Descriptor
}

// Open reads the index.json of the layout in dir.
func Open(dir string) (*Layout, error) {
	text, err := readDocument(filepath.Join(dir, "index.json"))
	if err != nil {
		return nil, fmt.Errorf("%s is no OCI image layout: %w", dir, err)
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("%s is no OCI image layout: index.json: %w", dir, err)
	}
	return &Layout{dir: dir, manifests: index.Manifests}, nil
}

// Manifests returns what index.json lists.
func (l *Layout) Manifests() []v1.Descriptor { return l.manifests }

// Top returns what index.json lists when that is one manifest.
func (l *Layout) Top() (v1.Descriptor, error) {
	if len(l.manifests) != 1 {
		return v1.Descriptor{}, fmt.Errorf("%s: index.json lists %d manifests instead of one", l.dir, len(l.manifests))
	}
	return l.manifests[0], nil
}

// Document returns a manifest or configuration.
func (l *Layout) Document(d v1.Descriptor) ([]byte, error) {
	if d.Size > maxDocument {
		return nil, fmt.Errorf("%s: %s has %d bytes, more than the %d of a manifest", l.dir, d.Digest, d.Size, maxDocument)
	}
	blob, err := l.Blob(d)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(blob)
	return text, errors.Join(err, blob.Close())
}

// Blob opens a blob. Its last read fails unless size and digest are those of the descriptor.
func (l *Layout) Blob(d v1.Descriptor) (io.ReadCloser, error) {
	path, err := blobPath(l.dir, d.Digest)
	if err != nil {
		return nil, err
	}
	file, err := openRegular(path)
	if err != nil {
		return nil, fmt.Errorf("blob %s of %s: %w", d.Digest, l.dir, err)
	}
	return verify(file, d), nil
}

// blobPath returns where a blob lies. The digest becomes a file's name, so it is checked again.
func blobPath(dir string, digest v1.Hash) (string, error) {
	if _, err := v1.NewHash(digest.String()); err != nil || digest.Algorithm != "sha256" {
		return "", fmt.Errorf("%s: %q is no sha256 digest", dir, digest)
	}
	return filepath.Join(dir, "blobs", digest.Algorithm, strings.ToLower(digest.Hex)), nil
}

// openRegular refuses what could block or never end.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	return os.Open(path)
}

func readDocument(path string) ([]byte, error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxDocument+1))
	if err == nil && len(text) > maxDocument {
		err = fmt.Errorf("%s has more than %d bytes", path, maxDocument)
	}
	return text, err
}
