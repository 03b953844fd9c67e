// Package compose makes images and indexes of images, in the same steps as the real rules_oci and with the same bytes.
package compose

import (
	"errors"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/jqjson"
	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
)

// epoch stands wherever an image has a time that is not given.
const epoch = "1970-01-01T00:00:00Z"

// Image is what an oci_image target says.
type Image struct {
	// Base is the image to begin with; nil begins with nothing.
	Base *ocidir.Layout
	// Platform is that of an image without base.
	Platform v1.Platform
	Layers   []LayerFile
	// Texts are the attributes that rules_oci takes as files, by attribute.
	Texts         map[string]string
	User, Workdir string
}

// LayerFile is a tar file, compressed or not, the label that made it, and what Describe says about it.
type LayerFile struct {
	Path, Label string
	Layer       Layer
}

// draft is an image in the making.
type draft struct {
	manifest, config *jqjson.Object
}

// Write puts the image into a layout and returns its descriptor.
func (i Image) Write(w *ocidir.Writer) (v1.Descriptor, error) {
	d, err := i.begin(w)
	if err != nil {
		return v1.Descriptor{}, err
	}
	for _, file := range i.Layers {
		if err := d.addLayer(w, file); err != nil {
			return v1.Descriptor{}, fmt.Errorf("layer %s: %w", file.Label, err)
		}
	}
	changes, err := i.changes(d.config)
	if err != nil {
		return v1.Descriptor{}, err
	}
	if text, given := i.Texts["annotations"]; given {
		pairs, err := pairs("annotations", text)
		if err != nil {
			return v1.Descriptor{}, err
		}
		add(d.manifest, "annotations", pairs)
	}
	d.config.Merge(changes)
	if config, ok := d.config.Get("config").(*jqjson.Object); ok && config.Get("Cmd") == nil {
		config.Delete("Cmd")
	}
	return d.write(w)
}

func (i Image) begin(w *ocidir.Writer) (draft, error) {
	if i.Base != nil {
		return beginWithBase(w, i.Base)
	}
	if i.Platform.OS == "" || i.Platform.Architecture == "" {
		return draft{}, errors.New("os and architecture must be given where base is not")
	}
	config := jqjson.Of("created", epoch, "config", &jqjson.Object{}, "history", jqjson.Array{},
		"rootfs", jqjson.Of("type", "layers", "diff_ids", jqjson.Array{}),
		"architecture", i.Platform.Architecture, "os", i.Platform.OS)
	if i.Platform.Variant != "" {
		config.Set("variant", i.Platform.Variant)
	}
	return draft{
		manifest: jqjson.Of("schemaVersion", 2, "mediaType", string(types.OCIManifestSchema1),
			"config", jqjson.Of("mediaType", string(types.OCIConfigJSON), "size", 0), "layers", jqjson.Array{}),
		config: config,
	}, nil
}

func beginWithBase(w *ocidir.Writer, base *ocidir.Layout) (draft, error) {
	top, err := base.Top()
	if err != nil {
		return draft{}, fmt.Errorf("base: %w", err)
	}
	manifest, text, err := base.Image(top)
	if err != nil {
		return draft{}, fmt.Errorf("base: %w", err)
	}
	for _, layer := range manifest.Layers {
		if err := w.Copy(base, layer); err != nil {
			return draft{}, fmt.Errorf("base: %w", err)
		}
	}
	config, err := base.Document(manifest.Config)
	if err != nil {
		return draft{}, fmt.Errorf("base: %w", err)
	}
	var d draft
	if d.manifest, err = jqjson.ParseObject(text); err != nil {
		return draft{}, fmt.Errorf("base: manifest: %w", err)
	}
	if d.config, err = jqjson.ParseObject(config); err != nil {
		return draft{}, fmt.Errorf("base: configuration: %w", err)
	}
	return d, nil
}

// write stores the configuration and the manifest.
func (d draft) write(w *ocidir.Writer) (v1.Descriptor, error) {
	config, err := w.PutDocument("", jqjson.Format(d.config))
	if err != nil {
		return v1.Descriptor{}, err
	}
	entry := object(d.manifest, "config")
	entry.Set("digest", config.Digest.String())
	entry.Set("size", config.Size)
	entry.Delete("data") // a copy of the base's configuration, if anything
	named, _ := d.manifest.Get("mediaType").(string)
	return w.PutDocument(ocidir.MediaTypeOf(named), append(jqjson.Format(d.manifest), '\n'))
}

// ofDocker: the base is an image in Docker's own format, whose layers have other media types.
func (d draft) ofDocker() bool {
	named, _ := d.manifest.Get("mediaType").(string)
	return strings.HasPrefix(named, "application/vnd.docker.")
}

// object returns the object that stands at a key, which it makes where there is none.
func object(in *jqjson.Object, key string) *jqjson.Object {
	found, ok := in.Get(key).(*jqjson.Object)
	if !ok {
		found = &jqjson.Object{}
		in.Set(key, found)
	}
	return found
}

// add merges pairs into the object at a key.
func add(in *jqjson.Object, key string, pairs *jqjson.Object) { object(in, key).Merge(pairs) }

// appendTo appends to the array at a key, which it makes where there is none.
func appendTo(in *jqjson.Object, key string, value any) {
	array, _ := in.Get(key).(jqjson.Array)
	in.Set(key, append(array[:len(array):len(array)], value))
}
