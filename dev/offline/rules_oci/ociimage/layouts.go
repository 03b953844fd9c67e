package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/compose"
	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
)

// output is what every command that makes a layout is told.
type output struct{ target, out, digest string }

func (o *output) register(flags *flag.FlagSet) {
	flags.StringVar(&o.target, "target", "", "label of the target, for messages")
	flags.StringVar(&o.out, "out", "", "folder to make the layout in")
	flags.StringVar(&o.digest, "digest", "", "file to write the digest into; empty for none")
}

// write makes the layout.
func (o *output) write(from interface {
	Write(*ocidir.Writer) (v1.Descriptor, error)
}) error {
	w, err := ocidir.Create(o.out)
	if err != nil {
		return o.explain(err)
	}
	top, err := from.Write(w)
	if err != nil {
		return o.explain(err)
	}
	if err := w.Finish(top); err != nil {
		return o.explain(err)
	}
	if o.digest == "" {
		return nil
	}
	return o.explain(os.WriteFile(o.digest, []byte(top.Digest.String()+"\n"), 0o644))
}

func (o *output) explain(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", o.target, err)
}

func writeImage(_ context.Context, args []string, _ io.Writer) error {
	var (
		o                          output
		base                       string
		layers, from, descriptions list
	)
	image := compose.Image{Texts: make(map[string]string)}
	flags := newFlags("image")
	o.register(flags)
	flags.StringVar(&base, "base", "", "layout to begin with")
	flags.StringVar(&image.Platform.OS, "os", "", "")
	flags.StringVar(&image.Platform.Architecture, "architecture", "", "")
	flags.StringVar(&image.Platform.Variant, "variant", "", "")
	flags.StringVar(&image.User, "user", "", "")
	flags.StringVar(&image.Workdir, "workdir", "", "")
	flags.Var(&layers, "layer", "tar file; may stand several times")
	flags.Var(&from, "layer-from", "label that made the layer; as many as layers")
	flags.Var(&descriptions, "layer-description", "file that describe made of the layer; as many as layers")
	flags.Func("text", "ATTRIBUTE:TEXT", texts(image.Texts).set)
	flags.Func("text-file", "ATTRIBUTE:FILE", texts(image.Texts).setFile)
	if err := parse(flags, args); err != nil {
		return o.explain(err)
	}
	if len(layers) != len(from) || len(layers) != len(descriptions) {
		return o.explain(fmt.Errorf("%d layers of %d labels with %d descriptions", len(layers), len(from), len(descriptions)))
	}
	for i := range layers {
		layer, err := readDescription(descriptions[i])
		if err != nil {
			return o.explain(fmt.Errorf("layer %s: %w", from[i], err))
		}
		image.Layers = append(image.Layers, compose.LayerFile{Path: layers[i], Label: from[i], Layer: layer})
	}
	if base != "" {
		var err error
		if image.Base, err = ocidir.Open(base); err != nil {
			return o.explain(fmt.Errorf("base: %w", err))
		}
	}
	return o.write(image)
}

func writeIndex(_ context.Context, args []string, _ io.Writer) error {
	var (
		o      output
		images list
		index  compose.Index
	)
	attributes := texts{}
	flags := newFlags("index")
	o.register(flags)
	flags.Var(&images, "image", "layout; may stand several times")
	flags.Func("text", "annotations:TEXT", attributes.set)
	flags.Func("text-file", "annotations:FILE", attributes.setFile)
	if err := parse(flags, args); err != nil {
		return o.explain(err)
	}
	for _, dir := range images {
		layout, err := ocidir.Open(dir)
		if err != nil {
			return o.explain(fmt.Errorf("images: %w", err))
		}
		index.Images = append(index.Images, layout)
	}
	if text, given := attributes["annotations"]; given {
		index.Annotations = &text
	}
	return o.write(index)
}

func writePulled(_ context.Context, args []string, _ io.Writer) error {
	var (
		o               output
		pulled          compose.Pulled
		layout, missing string
	)
	flags := newFlags("pulled")
	o.register(flags)
	flags.StringVar(&layout, "layout", "", "layout that stands in for the registry; empty where there is none")
	flags.StringVar(&missing, "missing", "", "what to say where there is none")
	flags.StringVar(&pulled.Digest, "pinned", "", "digest that the build pins")
	flags.StringVar(&pulled.Platform, "platform", "", "os/architecture[/variant]")
	if err := parse(flags, args); err != nil {
		return o.explain(err)
	}
	if layout == "" {
		return o.explain(fmt.Errorf("%s", missing))
	}
	var err error
	if pulled.From, err = ocidir.Open(layout); err != nil {
		return o.explain(err)
	}
	return o.write(pulled)
}
