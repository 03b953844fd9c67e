package ocidir

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"
)

// What another tool has written can be read and copied, and what is written here can be read by another tool.
func TestLayoutsOfOthers(t *testing.T) {
	t.Parallel()
	image, err := random.Image(1000, 3)
	require.NoError(t, err)
	from, to := t.TempDir(), t.TempDir()
	path, err := layout.Write(from, empty.Index)
	require.NoError(t, err)
	require.NoError(t, path.AppendImage(image))

	l, err := Open(from)
	require.NoError(t, err)
	top, err := l.Top()
	require.NoError(t, err)
	manifest, text, err := l.Image(top)
	require.NoError(t, err)
	require.Len(t, manifest.Layers, 3)
	raw, err := image.RawManifest()
	require.NoError(t, err)
	require.Equal(t, string(raw), string(text))

	w, err := Create(to)
	require.NoError(t, err)
	require.NoError(t, w.CopyImage(l, manifest))
	require.NoError(t, w.Copy(l, top))
	require.NoError(t, w.Copy(l, top), "a blob that is there already is left as it is")
	require.NoError(t, w.Finish(top))
	read, err := layout.ImageIndexFromPath(to)
	require.NoError(t, err)
	copied, err := read.Image(top.Digest)
	require.NoError(t, err)
	require.NoError(t, validate.Image(copied))
}

// Bazel's sandbox shows every file of a layout as a link.
func TestLayoutsOfLinks(t *testing.T) {
	t.Parallel()
	from, d := layoutOf(t, types.OCIManifestSchema1, `{"schemaVersion":2}`)
	links := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(links, "blobs", "sha256"), 0o700))
	for _, name := range []string{"index.json", filepath.Join("blobs", "sha256", d.Digest.Hex)} {
		require.NoError(t, os.Symlink(filepath.Join(from, name), filepath.Join(links, name)))
	}
	l, err := Open(links)
	require.NoError(t, err)
	text, err := l.Document(d)
	require.NoError(t, err)
	require.Equal(t, `{"schemaVersion":2}`, string(text))
}

func TestBlobsCanBeReadInAnyPieces(t *testing.T) {
	t.Parallel()
	dir, d := layoutOf(t, types.OCIManifestSchema1, strings.Repeat("x", 100))
	l, err := Open(dir)
	require.NoError(t, err)
	blob, err := l.Blob(d)
	require.NoError(t, err)
	defer func() { require.NoError(t, blob.Close()) }()
	text, err := io.ReadAll(iotest.OneByteReader(blob))
	require.NoError(t, err)
	require.Len(t, text, 100)
}

func TestPutLeavesNothingOfWhatFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := Create(dir)
	require.NoError(t, err)
	broken := errors.New("broken")
	_, err = w.Put(io.MultiReader(strings.NewReader("begun"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "blobs")}, files)
	hidden, err := filepath.Glob(filepath.Join(dir, ".*"))
	require.NoError(t, err)
	require.Empty(t, hidden)
}

func TestMediaTypeOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, types.OCIManifestSchema1, MediaTypeOf(""))
	require.Equal(t, types.DockerManifestSchema2, MediaTypeOf(string(types.DockerManifestSchema2)))
}
