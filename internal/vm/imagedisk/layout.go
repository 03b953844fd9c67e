package imagedisk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/open-executor/executor/internal/fault"
)

// layoutScheme begins references to OCI layouts.
const layoutScheme = "oci:"

// layoutBlobs reads an OCI image layout, a directory.
type layoutBlobs struct{ dir string }

func (l layoutBlobs) manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	blob, err := l.blob(ctx, digest)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	return readBounded(blob)
}

func (l layoutBlobs) blob(_ context.Context, digest v1.Hash) (io.ReadCloser, error) {
	hasher, err := v1.Hasher(digest.Algorithm)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(filepath.Join(l.dir, "blobs", digest.Algorithm, digest.Hex))
	if err != nil {
		return nil, err
	}
	return &checkedFile{file: file, tee: io.TeeReader(file, hasher), sum: func() string { return fmt.Sprintf("%x", hasher.Sum(nil)) }, want: digest.Hex}, nil
}

// checkedFile compares a file's digest when its end is read.
type checkedFile struct {
	file *os.File
	tee  io.Reader
	sum  func() string
	want string
}

func (c *checkedFile) Read(p []byte) (int, error) {
	n, err := c.tee.Read(p)
	if err == io.EOF && c.sum() != c.want {
		return n, fmt.Errorf("%s is damaged: its digest is %s", c.file.Name(), c.sum())
	}
	return n, err
}

func (c *checkedFile) Close() error { return c.file.Close() }

// resolve returns the image for the platform, with its manifest.
func (l layoutBlobs) resolve(ctx context.Context, platform v1.Platform) (v1.Hash, []byte, error) {
	file, err := os.Open(filepath.Join(l.dir, "index.json"))
	if err != nil {
		return v1.Hash{}, nil, &pullError{err}
	}
	defer file.Close()
	raw, err := readBounded(file)
	if err != nil {
		return v1.Hash{}, nil, &pullError{err}
	}
	if d, err := parseDocument(raw); err != nil || d.Manifests == nil {
		return v1.Hash{}, nil, errors.Join(fmt.Errorf("%s is no index", file.Name()), err)
	}
	// The digest of index.json itself is of no use: it only serves a layout that holds an index.
	return choose(ctx, l, v1.Hash{}, raw, platform)
}

func readBounded(from io.Reader) ([]byte, error) {
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(from, maxManifest+1))
	if err == nil && n > maxManifest {
		err = fmt.Errorf("it measures more than %d bytes", maxManifest)
	}
	return out.Bytes(), err
}

// layout returns the disk of an OCI layout. Its faults are the operator's to mend.
func (s *Store) layout(ctx context.Context, ref string) (*Disk, error) {
	dir := strings.TrimPrefix(ref, layoutScheme)
	if !filepath.IsAbs(dir) {
		return nil, fault.Operatorf("image %s: the path of an OCI layout must be absolute", ref)
	}
	from := layoutBlobs{dir}
	digest, raw, err := from.resolve(ctx, s.options.Platform)
	if err == nil {
		var disk *Disk
		if disk, err = s.disk(ctx, wanted{digest: digest, raw: raw, source: layoutScheme + dir, from: from}); err == nil {
			return disk, nil
		}
	}
	var pull *pullError
	if errors.As(err, &pull) || fault.ClassOf(err) == fault.User {
		err = fault.As(fault.Operator, err)
	}
	return nil, explain(ctx, ref, err)
}
