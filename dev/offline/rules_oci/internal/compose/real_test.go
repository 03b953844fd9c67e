package compose

import (
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
)

// What the real rules_oci 2.3.2 made of the same inputs (with regctl 0.8.0 and jq 1.8.2; 2.2.6 makes the same) lies in testdata, a
// folder for each image. It must be met to the byte: then a digest made offline is the digest made online.

type realCase struct {
	base  string
	image Image
}

const (
	gz    = "testdata/layer.gz"
	zst   = "testdata/layer.zst"
	plain = "testdata/layer"
)

var realImages = map[string]realCase{
	"full": {image: Image{
		Platform: v1.Platform{OS: "linux", Architecture: "amd64"},
		Layers:   []LayerFile{{Path: gz, Label: "//:gz"}, {Path: zst, Label: "//x:zst"}, {Path: plain, Label: "//x/y:plain"}},
		Texts: map[string]string{
			"created": "2024-01-02T03:04:05Z", "entrypoint": "/hello\na%5Cnb\n\nc", "cmd": "--x\n",
			"exposed_ports": "80/tcp,90/udp,80/tcp", "volumes": "/data,/srv",
			"env":         "A=b\nC=${A}d\nP=/x:$C:${A\nE=\nA=b=$A",
			"labels":      "title=hello <&> ü\x7f\t\"\\x=y\n\nempty=\n",
			"annotations": "k=v=w\nz=\n",
		},
		User: "1000:1000", Workdir: "/data",
	}},
	"bare": {image: Image{Platform: v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}}},
	"empty": {image: Image{
		Platform: v1.Platform{OS: "linux", Architecture: "amd64"},
		Texts: map[string]string{
			"entrypoint": "", "cmd": "", "exposed_ports": "", "volumes": "", "env": "", "labels": "", "annotations": "",
		},
	}},
	"child": {base: "full", image: Image{
		Layers: []LayerFile{{Path: plain, Label: "//:more"}},
		Texts: map[string]string{
			"entrypoint": "/other", "exposed_ports": "70", "env": "A=${A}:$P\nNEW=1", "labels": "empty=no\nnew=1", "annotations": "k=2\nq=3",
		},
	}},
	"grandchild": {base: "child", image: Image{Layers: []LayerFile{{Path: plain, Label: "//:more2"}}, Texts: map[string]string{"cmd": "--x\n"}}},
	"on_docker": {base: "docker_base", image: Image{
		Layers: []LayerFile{{Path: gz, Label: "//:gz"}, {Path: zst, Label: "//:zst"}, {Path: plain, Label: "//:plain"}},
		Texts:  map[string]string{"env": "PATH=/opt:$PATH", "labels": "l=1"},
	}},
	"on_plain": {base: "plain_base", image: Image{
		Layers: []LayerFile{{Path: gz, Label: "//:gz"}},
		Texts:  map[string]string{"annotations": "k=v=w\nz=\n"},
	}},
	"on_plain_env": {base: "plain_base", image: Image{Texts: map[string]string{"env": "A=b"}}},
}

func TestImagesAreThoseOfTheRealRules(t *testing.T) {
	t.Parallel()
	for name := range realImages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := realLayout(t, name)
			top, err := l.Top()
			require.NoError(t, err)
			manifest, text, err := l.Image(top)
			require.NoError(t, err)
			config, err := l.Document(manifest.Config)
			require.NoError(t, err)
			require.Equal(t, golden(t, name, "config.json"), string(config))
			require.Equal(t, golden(t, name, "manifest.json"), string(text))
			for _, layer := range manifest.Layers {
				readAll(t, l, layer)
			}
		})
	}
}

func TestIndexesAreThoseOfTheRealRules(t *testing.T) {
	t.Parallel()
	annotations := "k=v=w\nz=\n"
	index := Index{
		Images:      []*ocidir.Layout{realLayout(t, "full"), realLayout(t, "on_plain"), realLayout(t, "on_docker")},
		Annotations: &annotations,
	}
	l := written(t, index)
	top, err := l.Top()
	require.NoError(t, err)
	manifest, text, err := l.Index(top)
	require.NoError(t, err)
	require.Equal(t, golden(t, "index", "index.json"), string(text))
	for _, d := range manifest.Manifests {
		image, _, err := l.Image(d)
		require.NoError(t, err)
		for _, blob := range append(image.Layers, image.Config) {
			readAll(t, l, blob)
		}
	}
}

// realLayout makes an image of the table, or writes one of the bases in testdata.
func realLayout(t *testing.T, name string) *ocidir.Layout {
	t.Helper()
	c, found := realImages[name]
	if !found {
		return baseLayout(t, golden(t, name, "manifest.json"), golden(t, name, "config.json"))
	}
	image := c.image
	image.Layers = nil
	for _, file := range c.image.Layers {
		image.Layers = append(image.Layers, described(t, file))
	}
	if c.base != "" {
		image.Base = realLayout(t, c.base)
	}
	return written(t, image)
}

// baseLayout writes an image of the layer testdata/layer.gz.
func baseLayout(t *testing.T, manifest, config string) *ocidir.Layout {
	t.Helper()
	return written(t, writeFunc(func(w *ocidir.Writer) (v1.Descriptor, error) {
		if _, err := w.PutDocument("", []byte(config)); err != nil {
			return v1.Descriptor{}, err
		}
		layer, err := os.ReadFile(gz)
		if err != nil {
			return v1.Descriptor{}, err
		}
		if _, err := w.PutDocument("", layer); err != nil {
			return v1.Descriptor{}, err
		}
		parsed, err := v1.ParseManifest(stringReader(manifest))
		if err != nil {
			return v1.Descriptor{}, err
		}
		return w.PutDocument(ocidir.MediaTypeOf(string(parsed.MediaType)), []byte(manifest))
	}))
}

func golden(t *testing.T, folder, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", folder, file))
	require.NoError(t, err)
	return string(text)
}

func TestManifestsWithoutMediaTypeAreOfOCI(t *testing.T) {
	t.Parallel()
	l := realLayout(t, "on_plain")
	top, err := l.Top()
	require.NoError(t, err)
	require.Equal(t, types.OCIManifestSchema1, top.MediaType, "the base's manifest names no media type")
}
