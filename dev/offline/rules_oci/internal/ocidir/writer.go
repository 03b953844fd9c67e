package ocidir

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/jqjson"
)

// copyBuffer is large enough for its copies not to be bound by system calls.
const copyBuffer = 1 << 20

// Writer makes a layout. It is not safe for concurrent use.
type Writer struct{ dir string }

// Create begins a layout in dir, which need not exist.
func Create(dir string) (*Writer, error) {
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return nil, err
	}
	return &Writer{dir: dir}, nil
}

// PutDocument stores a manifest or configuration.
func (w *Writer) PutDocument(mediaType types.MediaType, text []byte) (v1.Descriptor, error) {
	d, err := w.Put(bytes.NewReader(text))
	d.MediaType = mediaType
	return d, err
}

// Put stores a blob and returns its digest and size.
func (w *Writer) Put(r io.Reader) (d v1.Descriptor, err error) {
	err = w.store(func(file io.Writer) (v1.Hash, error) {
		sum := sha256.New()
		size, err := io.Copy(io.MultiWriter(file, sum), r)
		d = v1.Descriptor{Digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}, Size: size}
		return d.Digest, err
	})
	return d, err
}

// store has a blob written and gives it the name of its digest. Of one that fails nothing is left.
func (w *Writer) store(write func(io.Writer) (v1.Hash, error)) (err error) {
	file, err := os.CreateTemp(w.dir, ".blob-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	digest, err := write(file)
	if err = errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		return err
	}
	path, err := blobPath(w.dir, digest)
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// Copy takes a blob over from another layout.
func (w *Writer) Copy(from *Layout, d v1.Descriptor) error {
	path, err := blobPath(from.dir, d.Digest)
	if err != nil {
		return err
	}
	if err := w.CopyFile(path, d); err != nil {
		return fmt.Errorf("blob %s of %s: %w", d.Digest, from.dir, err)
	}
	return nil
}

// CopyFile stores a file as the blob that it must be.
func (w *Writer) CopyFile(path string, d v1.Descriptor) error {
	to, err := blobPath(w.dir, d.Digest)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return nil
	}
	from, err := openRegular(path)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	return w.store(func(file io.Writer) (v1.Hash, error) {
		_, err := io.CopyBuffer(onlyWriter{file}, verify(from, d), make([]byte, copyBuffer))
		return d.Digest, err
	})
}

// onlyWriter keeps io.Copy from giving the file's own, smaller buffer the preference over that of CopyFile.
type onlyWriter struct{ io.Writer }

// CopyImage takes an image's configuration and layers over, but not its manifest.
func (w *Writer) CopyImage(from *Layout, m *v1.Manifest) error {
	for _, d := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		if err := w.Copy(from, d); err != nil {
			return err
		}
	}
	return nil
}

// Finish writes index.json with one entry, after which the layout is whole.
func (w *Writer) Finish(top v1.Descriptor) error {
	index := jqjson.Of("schemaVersion", 2, "mediaType", string(types.OCIImageIndex), "manifests", jqjson.Array{
		jqjson.Of("mediaType", string(top.MediaType), "digest", top.Digest.String(), "size", top.Size),
	})
	for name, text := range map[string]string{"oci-layout": `{"imageLayoutVersion":"1.0.0"}`, "index.json": string(jqjson.Format(index)) + "\n"} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("finishing the layout: %w", err)
		}
	}
	return nil
}
