package compose

import (
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/jqjson"
	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
)

// Index is what an oci_image_index target says.
type Index struct {
	Images []*ocidir.Layout
	// Annotations are lines of key=value; nil says nothing.
	Annotations *string
}

// Write puts the index and its images into a layout and returns its descriptor.
func (i Index) Write(w *ocidir.Writer) (v1.Descriptor, error) {
	if len(i.Images) == 0 {
		return v1.Descriptor{}, errors.New("images: an index has at least one image")
	}
	index := jqjson.Of("schemaVersion", 2, "mediaType", string(types.OCIImageIndex), "manifests", jqjson.Array{})
	for _, image := range i.Images {
		entry, err := indexEntry(w, image)
		if err != nil {
			return v1.Descriptor{}, fmt.Errorf("images: %w", err)
		}
		appendTo(index, "manifests", entry)
	}
	if i.Annotations != nil {
		pairs, err := pairs("annotations", *i.Annotations)
		if err != nil {
			return v1.Descriptor{}, err
		}
		add(index, "annotations", pairs)
	}
	return w.PutDocument(types.OCIImageIndex, append(jqjson.Format(index), '\n'))
}

// indexEntry takes an image over and returns what the index says about it.
func indexEntry(w *ocidir.Writer, image *ocidir.Layout) (*jqjson.Object, error) {
	top, err := image.Top()
	if err != nil {
		return nil, err
	}
	manifest, _, err := image.Image(top)
	if err != nil {
		return nil, err
	}
	text, err := image.Document(manifest.Config)
	if err != nil {
		return nil, err
	}
	config, err := jqjson.ParseObject(text)
	if err != nil {
		return nil, fmt.Errorf("configuration of %s: %w", top.Digest, err)
	}
	if err := w.CopyImage(image, manifest); err != nil {
		return nil, err
	}
	if err := w.Copy(image, top); err != nil {
		return nil, err
	}
	platform := &jqjson.Object{}
	for _, key := range []string{"os", "architecture", "variant", "os.version", "os.features"} {
		if value := config.Get(key); value != nil {
			platform.Set(key, value)
		}
	}
	return jqjson.Of("mediaType", string(top.MediaType), "digest", top.Digest.String(), "size", top.Size, "platform", platform), nil
}
