package compose

import (
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type writeFunc func(*ocidir.Writer) (v1.Descriptor, error)

func (f writeFunc) Write(w *ocidir.Writer) (v1.Descriptor, error) { return f(w) }

type writes interface {
	Write(*ocidir.Writer) (v1.Descriptor, error)
}

// written puts what is given into a layout of its own and opens it.
func written(t *testing.T, what writes) *ocidir.Layout {
	t.Helper()
	dir := t.TempDir()
	w, err := ocidir.Create(dir)
	require.NoError(t, err)
	top, err := what.Write(w)
	require.NoError(t, err)
	require.NoError(t, w.Finish(top))
	l, err := ocidir.Open(dir)
	require.NoError(t, err)
	return l
}

// refused returns the error of what can't be written.
func refused(t *testing.T, what writes) error {
	t.Helper()
	w, err := ocidir.Create(t.TempDir())
	require.NoError(t, err)
	_, err = what.Write(w)
	require.Error(t, err)
	return err
}

func readAll(t *testing.T, l *ocidir.Layout, d v1.Descriptor) {
	t.Helper()
	blob, err := l.Blob(d)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, blob)
	require.NoError(t, err)
	require.NoError(t, blob.Close())
}

func stringReader(text string) io.Reader { return strings.NewReader(text) }

func TestAttributesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		texts map[string]string
		want  string
	}{
		"created with a newline":   {map[string]string{"created": epoch + "\n"}, "created: "},
		"created is no time":       {map[string]string{"created": "yesterday"}, `created: "yesterday" is no time`},
		"port with a newline":      {map[string]string{"exposed_ports": "80/tcp\n"}, `exposed_ports: the entry "80/tcp\n"`},
		"empty port":               {map[string]string{"exposed_ports": "80/tcp,"}, `exposed_ports: the entry ""`},
		"volume with a space":      {map[string]string{"volumes": "/a, /b"}, `volumes: the entry " /b"`},
		"label without value":      {map[string]string{"labels": "a=b\nnothing"}, `labels: the line "nothing" is no key=value`},
		"label without key":        {map[string]string{"labels": "=b"}, `labels: the line "=b"`},
		"annotation":               {map[string]string{"annotations": "x"}, `annotations: the line "x"`},
		"variable without value":   {map[string]string{"env": "A"}, `env: the line "A" is no key=value`},
		"empty line":               {map[string]string{"env": "A=b\n\nC=d"}, `env: the line ""`},
		"unknown variable":         {map[string]string{"env": "A=$NONE/x"}, `env: A: "$NONE/x" names NONE`},
		"variable of a line below": {map[string]string{"env": "A=$B\nB=c"}, `env: A: "$B" names B`},
		"no UTF-8":                 {map[string]string{"labels": "a=\xff"}, "labels: the text is not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := Image{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, Texts: c.texts}
			require.ErrorContains(t, refused(t, image), c.want)
		})
	}
}

func TestImagesWithoutPlatformAreRefused(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, refused(t, Image{}), "os and architecture must be given where base is not")
	require.ErrorContains(t, refused(t, Image{Platform: v1.Platform{OS: "linux"}}), "os and architecture")
}

func TestBasesThatAreRefused(t *testing.T) {
	t.Parallel()
	amd64 := realLayout(t, "full")
	index := written(t, Index{Images: []*ocidir.Layout{amd64}})
	require.ErrorContains(t, refused(t, Image{Base: index}), "base: ")
	require.ErrorContains(t, refused(t, Image{Base: index}), "index of several images")

	manifest := golden(t, "docker_base", "manifest.json")
	config := golden(t, "docker_base", "config.json")
	other := strings.Replace(config, "bash", "dash", 1)
	require.ErrorContains(t, refused(t, Image{Base: baseLayout(t, manifest, other)}), "no such file", "another configuration than the manifest's")
	noLayer := strings.Replace(manifest, "sha256:33", "sha256:34", 1)
	require.ErrorContains(t, refused(t, Image{Base: baseLayout(t, noLayer, config)}), "base: blob sha256:349d392b")
	twice := strings.Replace(manifest, `{"schemaVersion":2`, `{"schemaVersion":2,"schemaVersion":2`, 1)
	require.ErrorContains(t, refused(t, Image{Base: baseLayout(t, twice, config)}), `base: manifest: `)
}

func TestIndexesThatAreRefused(t *testing.T) {
	t.Parallel()
	image := realLayout(t, "full")
	index := written(t, Index{Images: []*ocidir.Layout{image}})
	require.ErrorContains(t, refused(t, Index{}), "an index has at least one image")
	require.ErrorContains(t, refused(t, Index{Images: []*ocidir.Layout{image, index}}), "images: ")
	bad := "nothing"
	require.ErrorContains(t, refused(t, Index{Images: []*ocidir.Layout{image}, Annotations: &bad}), `annotations: the line "nothing"`)
}
