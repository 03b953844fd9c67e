package compose

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/jqjson"
)

func gzipped(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func zstdded(t *testing.T, text []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	return w.EncodeAll(text, nil)
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// noise can't be compressed, so that buffers of all sizes are passed.
func noise(n int) []byte {
	random, text := rand.New(rand.NewPCG(1, 2)), make([]byte, n)
	for i := range text {
		text[i] = byte(random.Uint32())
	}
	return text
}

func layerFile(t *testing.T, content []byte) LayerFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "layer")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return described(t, LayerFile{Path: path, Label: "//:layer"})
}

func described(t *testing.T, file LayerFile) LayerFile {
	t.Helper()
	tar, err := os.Open(file.Path)
	require.NoError(t, err)
	defer func() { require.NoError(t, tar.Close()) }()
	file.Layer, err = Describe(tar)
	require.NoError(t, err)
	return file
}

func imageOf(layers ...LayerFile) Image {
	return Image{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, Layers: layers}
}

func TestLayersAreStoredAsTheyAre(t *testing.T) {
	t.Parallel()
	big := noise(3 << 20)
	for name, c := range map[string]struct {
		content, unpacked []byte
		mediaType         string
	}{
		"nothing":            {nil, nil, "application/vnd.oci.image.layer.v1.tar"},
		"one byte":           {[]byte{0x1f}, []byte{0x1f}, "application/vnd.oci.image.layer.v1.tar"},
		"plain":              {big, big, "application/vnd.oci.image.layer.v1.tar"},
		"gzip":               {gzipped(t, big), big, "application/vnd.oci.image.layer.v1.tar+gzip"},
		"gzip in two pieces": {append(gzipped(t, big), gzipped(t, []byte("x"))...), append(bytes.Clone(big), 'x'), "application/vnd.oci.image.layer.v1.tar+gzip"},
		"gzip of nothing":    {gzipped(t, nil), nil, "application/vnd.oci.image.layer.v1.tar+gzip"},
		"zstd":               {zstdded(t, big), big, "application/vnd.oci.image.layer.v1.tar+zstd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := written(t, imageOf(layerFile(t, c.content)))
			top, err := l.Top()
			require.NoError(t, err)
			manifest, _, err := l.Image(top)
			require.NoError(t, err)
			require.Len(t, manifest.Layers, 1)
			layer := manifest.Layers[0]
			require.Equal(t, c.mediaType, string(layer.MediaType))
			require.Equal(t, digestOf(c.content), layer.Digest.String())
			require.EqualValues(t, len(c.content), layer.Size)
			readAll(t, l, layer)
			text, err := l.Document(manifest.Config)
			require.NoError(t, err)
			config, err := jqjson.ParseObject(text)
			require.NoError(t, err)
			require.Equal(t, jqjson.Array{digestOf(c.unpacked)}, config.Get("rootfs").(*jqjson.Object).Get("diff_ids"))
		})
	}
}

func TestBrokenLayersAreRefused(t *testing.T) {
	t.Parallel()
	gz, zst := gzipped(t, noise(1<<20)), zstdded(t, noise(1<<20))
	flipped := bytes.Clone(gz)
	flipped[len(flipped)-6] ^= 1
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"cut gzip":         {gz[:len(gz)/2], "unexpected EOF"},
		"gzip's head only": {gz[:4], "unexpected EOF"},
		"bad sum":          {flipped, "checksum"},
		"cut zstd":         {zst[:len(zst)/2], "unexpected EOF"},
		"no gzip at all":   {append([]byte{0x1f, 0x8b, 0, 0}, noise(1<<20)...), "gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Describe(bytes.NewReader(c.content))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestLayersThatAreNotAsDescribed(t *testing.T) {
	t.Parallel()
	file := layerFile(t, []byte("layer"))
	for want, content := range map[string]string{
		"holds something else":             "other",
		"is longer than the 5 bytes":       "layer and more",
		"has 4 bytes, its descriptor says": "laye",
	} {
		require.NoError(t, os.WriteFile(file.Path, []byte(content), 0o600))
		err := refused(t, imageOf(file))
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "layer //:layer: ")
	}
	file.Path = "nowhere"
	require.ErrorIs(t, refused(t, imageOf(file)), os.ErrNotExist)
	file.Layer.Digest.Hex = "../../x"
	require.ErrorContains(t, refused(t, imageOf(file)), "is no sha256 digest")
}
