package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
)

// layoutOf writes an image into a layout.
func layoutOf(t *testing.T, image v1.Image) (dir string, l *ocidir.Layout) {
	t.Helper()
	dir = t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	require.NoError(t, err)
	require.NoError(t, path.AppendImage(image))
	l, err = ocidir.Open(dir)
	require.NoError(t, err)
	return dir, l
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	image, err := random.Image(2000, 2)
	require.NoError(t, err)
	return image
}

func TestArchivesHoldTheImage(t *testing.T) {
	t.Parallel()
	image := randomImage(t)
	_, l := layoutOf(t, image)
	file := filepath.Join(t.TempDir(), "image.tar")
	var b bytes.Buffer
	require.NoError(t, Write(&b, l, []string{"executor:candidate", "example.com/executor:1"}))
	require.NoError(t, os.WriteFile(file, b.Bytes(), 0o600))

	for _, word := range []string{"executor:candidate", "example.com/executor:1"} {
		tag, err := name.NewTag(word)
		require.NoError(t, err)
		read, err := tarball.ImageFromPath(file, &tag)
		require.NoError(t, err)
		require.NoError(t, validate.Image(read))
		want, err := image.ConfigName()
		require.NoError(t, err)
		got, err := read.ConfigName()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}

	var again bytes.Buffer
	require.NoError(t, Write(&again, l, []string{"executor:candidate", "example.com/executor:1"}))
	require.Equal(t, b.Bytes(), again.Bytes(), "the same image gives the same bytes")
}

func TestArchivesAreThoseOfTheRealRules(t *testing.T) {
	t.Parallel()
	image := randomImage(t)
	layers, err := image.Layers()
	require.NoError(t, err)
	image, err = mutate.AppendLayers(image, layers[0])
	require.NoError(t, err)
	_, l := layoutOf(t, image)
	var b bytes.Buffer
	require.NoError(t, Write(&b, l, nil))

	config, err := image.ConfigName()
	require.NoError(t, err)
	first, err := layers[0].Digest()
	require.NoError(t, err)
	second, err := layers[1].Digest()
	require.NoError(t, err)
	a, z := "blobs/sha256/"+first.Hex+".tar.gz", "blobs/sha256/"+second.Hex+".tar.gz"
	var names []string
	r := tar.NewReader(&b)
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		names = append(names, header.Name)
		require.Equal(t, "2023-01-01T08:00:00Z", header.ModTime.UTC().Format(time.RFC3339))
		require.EqualValues(t, 0o755, header.Mode)
		if header.Name == "manifest.json" {
			text, err := io.ReadAll(r)
			require.NoError(t, err)
			want := `[{"Config":"blobs/sha256/` + config.Hex + `","RepoTags":[],"Layers":["` + a + `","` + z + `","` + a + `"]}]`
			require.JSONEq(t, want, string(text))
		}
	}
	require.Equal(t, []string{"blobs/sha256/" + config.Hex, a, z, "manifest.json"}, names, "a layer that stands twice is there once")
}

func TestArchivesThatAreRefused(t *testing.T) {
	t.Parallel()
	dir, l := layoutOf(t, randomImage(t))
	for _, tag := range []string{"UPPER:x", "a:b:c", "x@sha256:00", "a b"} {
		require.ErrorContains(t, Write(io.Discard, l, []string{"fine:1", tag}), "repo_tags: ", tag)
	}

	index, err := random.Index(100, 1, 2)
	require.NoError(t, err)
	path, err := layout.Write(t.TempDir(), empty.Index)
	require.NoError(t, err)
	require.NoError(t, path.AppendIndex(index))
	ofIndex, err := ocidir.Open(string(path))
	require.NoError(t, err)
	require.ErrorContains(t, Write(io.Discard, ofIndex, nil), "index of several images")

	require.NoError(t, os.RemoveAll(filepath.Join(dir, "blobs")))
	require.ErrorIs(t, Write(io.Discard, l, nil), os.ErrNotExist)
}
