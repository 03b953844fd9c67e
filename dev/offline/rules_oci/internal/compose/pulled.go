package compose

import (
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/jqjson"
	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
)

// Pulled is what an oci.pull says of one platform, and the layout on this machine that stands in for the registry.
type Pulled struct {
	From *ocidir.Layout
	// Digest is what MODULE.bazel pins, of an image or of an index; empty where it pins nothing.
	Digest string
	// Platform is os/architecture or os/architecture/variant; empty takes the one image that there is.
	Platform string
}

// Write puts the one image into a layout and returns its descriptor. The image is the one that the real rules_oci would pull, or there
// is an error: everything is held against the pinned digest.
func (p Pulled) Write(w *ocidir.Writer) (v1.Descriptor, error) {
	top, err := p.pinned()
	if err != nil {
		return v1.Descriptor{}, err
	}
	if top.MediaType.IsIndex() {
		if top, err = p.ofPlatform(top); err != nil {
			return v1.Descriptor{}, err
		}
	}
	manifest, _, err := p.From.Image(top)
	if err != nil {
		return v1.Descriptor{}, err
	}
	if err := p.checkPlatform(manifest); err != nil {
		return v1.Descriptor{}, err
	}
	if err := w.CopyImage(p.From, manifest); err != nil {
		return v1.Descriptor{}, err
	}
	return v1.Descriptor{MediaType: top.MediaType, Digest: top.Digest, Size: top.Size}, w.Copy(p.From, top)
}

// pinned finds the manifest with the pinned digest.
func (p Pulled) pinned() (v1.Descriptor, error) {
	if p.Digest == "" {
		return p.From.Top()
	}
	var held []string
	for _, d := range p.From.Manifests() {
		if d.Digest.String() == p.Digest {
			return d, nil
		}
		held = append(held, d.Digest.String())
	}
	return v1.Descriptor{}, fmt.Errorf("the layout holds %s, but the build pins %s", strings.Join(held, ", "), p.Digest)
}

// ofPlatform finds the image of the platform in an index.
func (p Pulled) ofPlatform(top v1.Descriptor) (v1.Descriptor, error) {
	index, _, err := p.From.Index(top)
	if err != nil {
		return v1.Descriptor{}, err
	}
	var held []string
	for _, d := range index.Manifests {
		if d.Platform == nil {
			continue
		}
		name := platformName(d.Platform.OS, d.Platform.Architecture, d.Platform.Variant)
		if name == p.Platform {
			return d, nil
		}
		held = append(held, name)
	}
	return v1.Descriptor{}, fmt.Errorf("%s is an index of images for %s; the build wants platform %q", top.Digest, strings.Join(held, ", "), p.Platform)
}

// checkPlatform holds the image's configuration against the platform. As in rules_oci, arm64 without a variant is v8.
func (p Pulled) checkPlatform(manifest *v1.Manifest) error {
	if p.Platform == "" {
		return nil
	}
	text, err := p.From.Document(manifest.Config)
	if err != nil {
		return err
	}
	config, err := jqjson.ParseObject(text)
	if err != nil {
		return fmt.Errorf("configuration %s: %w", manifest.Config.Digest, err)
	}
	word := func(key string) string { s, _ := config.Get(key).(string); return s }
	name := platformName(word("os"), word("architecture"), word("variant"))
	if withoutDefault(name) != withoutDefault(p.Platform) {
		return fmt.Errorf("the image is for %s; the build wants platform %q", name, p.Platform)
	}
	return nil
}

func withoutDefault(platform string) string {
	if strings.HasSuffix(platform, "/arm64/v8") {
		return strings.TrimSuffix(platform, "/v8")
	}
	return platform
}

func platformName(os, architecture, variant string) string {
	return strings.TrimSuffix(strings.Join([]string{os, architecture, variant}, "/"), "/")
}
