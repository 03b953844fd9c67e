package ocidir

import (
	"bytes"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Image reads the manifest of an image.
func (l *Layout) Image(d v1.Descriptor) (*v1.Manifest, []byte, error) {
	if d.MediaType.IsIndex() {
		return nil, nil, fmt.Errorf("%s holds an index of several images (%s) where one image is wanted", l.dir, d.Digest)
	}
	if !d.MediaType.IsImage() {
		return nil, nil, fmt.Errorf("%s: %s is no image: its media type is %q", l.dir, d.Digest, d.MediaType)
	}
	text, err := l.Document(d)
	if err != nil {
		return nil, nil, err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(text))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: manifest %s: %w", l.dir, d.Digest, err)
	}
	return manifest, text, nil
}

// Index reads an index of images.
func (l *Layout) Index(d v1.Descriptor) (*v1.IndexManifest, []byte, error) {
	if !d.MediaType.IsIndex() {
		return nil, nil, fmt.Errorf("%s: %s is no index of images: its media type is %q", l.dir, d.Digest, d.MediaType)
	}
	text, err := l.Document(d)
	if err != nil {
		return nil, nil, err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(text))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: index %s: %w", l.dir, d.Digest, err)
	}
	return index, text, nil
}

// MediaTypeOf returns the media type that a manifest names itself, or that of OCI where it names none.
func MediaTypeOf(named string) types.MediaType {
	if named == "" {
		return types.OCIManifestSchema1
	}
	return types.MediaType(named)
}
