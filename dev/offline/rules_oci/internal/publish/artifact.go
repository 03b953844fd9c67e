package publish

import (
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
)

// artifact returns the layout's image or index in the shape that the registry client takes.
func artifact(from *ocidir.Layout) (remote.Taggable, v1.Hash, error) {
	top, err := from.Top()
	if err != nil {
		return nil, v1.Hash{}, err
	}
	if top.MediaType.IsIndex() {
		manifest, text, err := from.Index(top)
		return &index{from: from, top: top, manifest: manifest, text: text}, top.Digest, err
	}
	img, err := newImage(from, top)
	return img, top.Digest, err
}

// image is the part of an image that partial.CompressedToImage makes a whole of.
type image struct {
	from     *ocidir.Layout
	top      v1.Descriptor
	manifest *v1.Manifest
	text     []byte
}

func newImage(from *ocidir.Layout, top v1.Descriptor) (v1.Image, error) {
	manifest, text, err := from.Image(top)
	if err != nil {
		return nil, err
	}
	return partial.CompressedToImage(&image{from: from, top: top, manifest: manifest, text: text})
}

func (i *image) MediaType() (types.MediaType, error) { return i.top.MediaType, nil }
func (i *image) RawConfigFile() ([]byte, error)      { return i.from.Document(i.manifest.Config) }
func (i *image) RawManifest() ([]byte, error)        { return i.text, nil }

func (i *image) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	for _, d := range append([]v1.Descriptor{i.manifest.Config}, i.manifest.Layers...) {
		if d.Digest == digest {
			return &layer{from: i.from, d: d}, nil
		}
	}
	return nil, fmt.Errorf("%s has no layer %s", i.top.Digest, digest)
}

// layer is a blob of an image.
type layer struct {
	from *ocidir.Layout
	d    v1.Descriptor
}

func (l *layer) Compressed() (io.ReadCloser, error)  { return l.from.Blob(l.d) }
func (l *layer) Digest() (v1.Hash, error)            { return l.d.Digest, nil }
func (l *layer) MediaType() (types.MediaType, error) { return l.d.MediaType, nil }
func (l *layer) Size() (int64, error)                { return l.d.Size, nil }

// index is an index of images.
type index struct {
	from     *ocidir.Layout
	top      v1.Descriptor
	manifest *v1.IndexManifest
	text     []byte
}

func (i *index) Digest() (v1.Hash, error)                  { return i.top.Digest, nil }
func (i *index) IndexManifest() (*v1.IndexManifest, error) { return i.manifest, nil }
func (i *index) MediaType() (types.MediaType, error)       { return i.top.MediaType, nil }
func (i *index) RawManifest() ([]byte, error)              { return i.text, nil }
func (i *index) Size() (int64, error)                      { return i.top.Size, nil }

func (i *index) Image(digest v1.Hash) (v1.Image, error) {
	for _, d := range i.manifest.Manifests {
		if d.Digest == digest {
			return newImage(i.from, d)
		}
	}
	return nil, fmt.Errorf("%s has no image %s", i.top.Digest, digest)
}

func (i *index) ImageIndex(v1.Hash) (v1.ImageIndex, error) {
	return nil, errors.New("an index within an index is not supported")
}
