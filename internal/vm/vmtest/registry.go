//go:build vm

package vmtest

import (
	"archive/tar"
	"bytes"
	"io"
	stdlog "log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

// Registry is a registry on this host with two images: the guest's root, and one for steps.
type Registry struct {
	Root, Image string
	// Address is its host and port.
	Address string

	mu    sync.Mutex
	blobs map[string]int
}

// Fetched returns how often each blob was fetched, by its path.
func (r *Registry) Fetched() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.blobs)
}

// count counts the blobs that go out.
func (r *Registry) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodGet && strings.Contains(request.URL.Path, "/blobs/") {
			r.mu.Lock()
			r.blobs[request.URL.Path]++
			r.mu.Unlock()
		}
		next.ServeHTTP(w, request)
	})
}

// StartRegistry starts a registry that ends with the test.
func StartRegistry(t testing.TB) *Registry {
	t.Helper()
	r := &Registry{blobs: map[string]int{}}
	server := httptest.NewServer(r.count(registry.New(registry.Logger(stdlog.New(io.Discard, "", 0)))))
	t.Cleanup(server.Close)
	r.Address = strings.TrimPrefix(server.URL, "http://")
	push := func(repository string, names []string) string {
		ref := r.Address + "/" + repository + ":1"
		Push(t, ref, image(t, names))
		return ref
	}
	r.Root, r.Image = push("root", rootPrograms), push("steps", imagePrograms)
	return r
}

// Push pushes an image.
func Push(t testing.TB, ref string, image v1.Image) {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	require.NoError(t, err)
	require.NoError(t, remote.Write(parsed, image, remote.WithContext(t.Context())))
}

// image is an image of one layer with programs of this host.
func image(t testing.TB, names []string) v1.Image {
	t.Helper()
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	require.NoError(t, archive.AddFS(os.DirFS(programs(t, names...))))
	require.NoError(t, archive.Close())
	made, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	require.NoError(t, err)
	return With(t, made)
}

// With is an image of layers that runs as root.
func With(t testing.TB, layers ...v1.Layer) v1.Image {
	t.Helper()
	base, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	require.NoError(t, err)
	made, err := mutate.AppendLayers(base, layers...)
	require.NoError(t, err)
	return made
}
