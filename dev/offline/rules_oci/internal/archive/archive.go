// Package archive writes an image as the tar file that "docker load" and "podman load" take.
package archive

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
)

// modTime is what the real rules_oci gives to every entry.
var modTime = time.Unix(1672560000, 0)

// entry is the manifest.json of such a tar file.
type entry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Write writes the layout's one image, to be named by the tags. The same image and tags give the same bytes.
func Write(w io.Writer, from *ocidir.Layout, tags []string) error {
	for _, tag := range tags {
		if _, err := name.NewTag(tag); err != nil {
			return fmt.Errorf("repo_tags: %w", err)
		}
	}
	top, err := from.Top()
	if err != nil {
		return err
	}
	manifest, _, err := from.Image(top)
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	image := entry{Config: blobName(manifest.Config), RepoTags: append([]string{}, tags...), Layers: []string{}}
	if err := addBlob(out, image.Config, from, manifest.Config); err != nil {
		return err
	}
	written := make(map[string]bool)
	for _, layer := range manifest.Layers {
		// Engines find out about the compression by themselves.
		path := blobName(layer) + ".tar.gz"
		image.Layers = append(image.Layers, path)
		if written[path] {
			continue
		}
		written[path] = true
		if err := addBlob(out, path, from, layer); err != nil {
			return err
		}
	}
	text, err := json.Marshal([]entry{image})
	if err != nil {
		return err
	}
	if err := add(out, "manifest.json", int64(len(text)), bytes.NewReader(text)); err != nil {
		return err
	}
	return out.Close()
}

func blobName(d v1.Descriptor) string {
	return "blobs/" + strings.Replace(d.Digest.String(), ":", "/", 1)
}

func addBlob(out *tar.Writer, path string, from *ocidir.Layout, d v1.Descriptor) error {
	blob, err := from.Blob(d)
	if err != nil {
		return err
	}
	return errors.Join(add(out, path, d.Size, blob), blob.Close())
}

func add(out *tar.Writer, path string, size int64, from io.Reader) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: path, Size: size, Mode: 0o755, ModTime: modTime, Format: tar.FormatPAX}
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	_, err := io.Copy(out, from)
	return err
}
