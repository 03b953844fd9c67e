package ocidir

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"
)

// layoutOf writes a layout that holds one document.
func layoutOf(t *testing.T, mediaType types.MediaType, text string) (dir string, d v1.Descriptor) {
	t.Helper()
	dir = t.TempDir()
	w, err := Create(dir)
	require.NoError(t, err)
	d, err = w.PutDocument(mediaType, []byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Finish(d))
	return dir, d
}

func blobFile(dir string, d v1.Descriptor) string {
	return filepath.Join(dir, "blobs", "sha256", d.Digest.Hex)
}

func replace(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestIndexFilesThatAreNone(t *testing.T) {
	t.Parallel()
	digest := strings.Repeat("a", 64)
	for name, c := range map[string]struct{ index, want string }{
		"no JSON":             {`{`, "index.json"},
		"path for a digest":   {`{"manifests":[{"digest":"sha256:../../../etc/passwd","size":1}]}`, "non-hex character"},
		"short digest":        {`{"manifests":[{"digest":"sha256:aa","size":1}]}`, "wrong number of hex digits"},
		"unknown algorithm":   {`{"manifests":[{"digest":"../x:` + digest + `","size":1}]}`, "unsupported hash"},
		"no digest at all":    {`{"manifests":[{"digest":"","size":1}]}`, "cannot parse hash"},
		"number for a digest": {`{"manifests":[{"digest":7,"size":1}]}`, "index.json"},
		"huge":                {strings.Repeat(" ", maxDocument) + `{}`, "more than 4194304 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "index.json"), []byte(c.index), 0o600))
			_, err := Open(dir)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "is no OCI image layout")
		})
	}
}

func TestFoldersThatAreNoLayouts(t *testing.T) {
	t.Parallel()
	_, err := Open(t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)

	dir := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "index.json"), 0o600))
	_, err = Open(dir)
	require.ErrorContains(t, err, "no regular file", "and it waits for no writer")
}

func TestBlobsThatAreNotWhatTheyAreCalled(t *testing.T) {
	t.Parallel()
	const text = `{"schemaVersion":2}`
	for name, c := range map[string]struct {
		spoil func(t *testing.T, path string)
		want  string
	}{
		"other content": {func(t *testing.T, path string) { replace(t, path, `{"schemaVersion":3}`) }, "holds something else"},
		"longer":        {func(t *testing.T, path string) { replace(t, path, text+" ") }, "is longer than the 19 bytes"},
		"shorter":       {func(t *testing.T, path string) { replace(t, path, "{}") }, "has 2 bytes, its descriptor says 19"},
		"empty":         {func(t *testing.T, path string) { replace(t, path, "") }, "has 0 bytes"},
		"missing":       {func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }, "no such file"},
		"dangling link": {func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Symlink("nowhere", path))
		}, "no such file"},
		"device": {func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Symlink("/dev/zero", path))
		}, "no regular file"},
		"pipe": {func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, syscall.Mkfifo(path, 0o600))
		}, "no regular file"},
		"folder": {func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
		}, "no regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, d := layoutOf(t, types.OCIManifestSchema1, text)
			c.spoil(t, blobFile(dir, d))
			l, err := Open(dir)
			require.NoError(t, err)
			_, err = l.Document(d)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, d.Digest.Hex, "the error names the blob")

			into, err := Create(t.TempDir())
			require.NoError(t, err)
			require.ErrorContains(t, into.Copy(l, d), c.want, "nor is it copied")
			left, err := os.ReadDir(filepath.Join(into.dir, "blobs", "sha256"))
			require.NoError(t, err)
			require.Empty(t, left, "no blob with a false name is left")
		})
	}
}

// A descriptor's size comes from the same hostile hand as the blob.
func TestHugeDocumentsAreNotRead(t *testing.T) {
	t.Parallel()
	dir, d := layoutOf(t, types.OCIManifestSchema1, `{}`)
	l, err := Open(dir)
	require.NoError(t, err)
	d.Size = maxDocument + 1
	_, err = l.Document(d)
	require.ErrorContains(t, err, "more than the 4194304 of a manifest")
}

func TestDigestsAreCheckedWhereTheyBecomePaths(t *testing.T) {
	t.Parallel()
	dir, d := layoutOf(t, types.OCIManifestSchema1, `{}`)
	l, err := Open(dir)
	require.NoError(t, err)
	for _, digest := range []v1.Hash{
		{},
		{Algorithm: "sha256", Hex: "../../index.json"},
		{Algorithm: "..", Hex: d.Digest.Hex},
		{Algorithm: "sha512", Hex: strings.Repeat("a", 128)},
	} {
		_, err := l.Blob(v1.Descriptor{Digest: digest, Size: 2})
		require.ErrorContains(t, err, "is no sha256 digest")
	}
}

func TestManifestsOfTheWrongKind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mediaType types.MediaType
		text      string
		image     string
		index     string
	}{
		"an index":       {types.OCIImageIndex, `{"schemaVersion":2,"manifests":[]}`, "index of several images", ""},
		"an image":       {types.OCIManifestSchema1, `{"schemaVersion":2,"layers":[]}`, "", "no index of images"},
		"something else": {types.OCIConfigJSON, `{}`, "is no image", "no index of images"},
		"no JSON":        {types.DockerManifestSchema2, `{`, "unexpected EOF", "no index of images"},
		"no JSON, index": {types.DockerManifestList, `{`, "index of several images", "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, d := layoutOf(t, c.mediaType, c.text)
			l, err := Open(dir)
			require.NoError(t, err)
			_, _, imageErr := l.Image(d)
			_, _, indexErr := l.Index(d)
			for err, want := range map[error]string{imageErr: c.image, indexErr: c.index} {
				if want == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, want)
				}
			}
		})
	}
}

func TestTopWantsOneManifest(t *testing.T) {
	t.Parallel()
	_, d := layoutOf(t, types.OCIManifestSchema1, `{}`)
	for _, manifests := range [][]v1.Descriptor{nil, {d, d}} {
		dir := t.TempDir()
		text, err := json.Marshal(v1.IndexManifest{Manifests: manifests})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "index.json"), text, 0o600))
		l, err := Open(dir)
		require.NoError(t, err)
		_, err = l.Top()
		require.ErrorContains(t, err, "manifests instead of one")
	}
}
