package imagedisk

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
)

var nobody = api.DockerAuthConfig{}

// world is a transport to registries in this process, by host; other hosts refuse connections.
type world struct {
	mu       sync.Mutex
	hosts    map[string]http.Handler
	requests []string
	// body, when set, may put itself between a request and the body of its answer.
	body func(*http.Request, io.ReadCloser) io.ReadCloser
	// private maps repositories ("host/name") to the user:password that they want.
	private map[string]string
}

func newWorld(hosts ...string) *world {
	w := &world{hosts: map[string]http.Handler{}, private: map[string]string{}}
	for _, host := range hosts {
		w.hosts[host] = registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	}
	return w
}

func (w *world) RoundTrip(request *http.Request) (*http.Response, error) {
	w.mu.Lock()
	handler, body := w.hosts[request.URL.Host], w.body
	if request.URL.Path != "/v2/" {
		w.requests = append(w.requests, request.Method+" "+request.URL.Host+request.URL.Path)
	}
	wanted := ""
	for repository, credentials := range w.private {
		if strings.HasPrefix(request.URL.Host+strings.TrimPrefix(request.URL.Path, "/v2"), repository+"/") {
			wanted = credentials
		}
	}
	private := request.URL.Path == "/v2/" && len(w.private) > 0
	w.mu.Unlock()
	if handler == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	answer := httptest.NewRecorder()
	user, password, _ := request.BasicAuth()
	switch {
	case private:
		answer.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		answer.WriteHeader(http.StatusUnauthorized)
	case wanted != "" && wanted != user+":"+password:
		answer.WriteHeader(http.StatusForbidden)
		fmt.Fprint(answer, `{"errors":[{"code":"DENIED","message":"requested access is denied"}]}`)
	default:
		asked := request.Clone(request.Context())
		if asked.Body == nil {
			asked.Body = http.NoBody
		}
		handler.ServeHTTP(answer, asked)
	}
	response := answer.Result()
	response.Request = request
	if body != nil {
		response.Body = body(request, response.Body)
	}
	return response, nil
}

// took returns what was asked for since the last call.
func (w *world) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.requests
	w.requests = nil
	return taken
}

// took counts the requests since the last call that begin with method and contain part.
func count(requests []string, method, part string) int {
	n := 0
	for _, request := range requests {
		if strings.HasPrefix(request, method+" ") && strings.Contains(request, part) {
			n++
		}
	}
	return n
}

var linux = v1.Platform{OS: "linux", Architecture: "amd64"}

func testImage(t *testing.T, arch string, layers ...[]byte) v1.Image {
	t.Helper()
	config := &v1.ConfigFile{OS: "linux", Architecture: arch, RootFS: v1.RootFS{Type: "layers"}, Config: v1.Config{
		Env: []string{"A=b"}, WorkingDir: "/w", User: "7", Entrypoint: []string{"/init"},
	}}
	image, err := mutate.ConfigFile(empty.Image, config)
	require.NoError(t, err)
	for _, raw := range layers {
		image, err = mutate.AppendLayers(image, static.NewLayer(raw, types.OCIUncompressedLayer))
		require.NoError(t, err)
	}
	return image
}

func (w *world) push(t *testing.T, ref string, image v1.Image) string {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	require.NoError(t, err)
	require.NoError(t, remote.Write(parsed, image, remote.WithTransport(w)))
	digest, err := image.Digest()
	require.NoError(t, err)
	w.took()
	return digest.String()
}

// maker stands in for sqfstar: the disk is the archive itself.
type maker struct {
	made atomic.Int32
	// entered gets a value per call when set; then the call waits for let.
	entered chan struct{}
	let     chan error
}

func (m *maker) make(ctx context.Context, archive io.Reader, path string) error {
	m.made.Add(1)
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if m.entered != nil {
		m.entered <- struct{}{}
		select {
		case err := <-m.let:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	_, err = io.Copy(out, archive)
	return err
}

const testSize = 1 << 20

func newStore(t *testing.T, w *world, m *maker, change ...func(*Options)) *Store {
	t.Helper()
	options := Options{Dir: filepath.Join(t.TempDir(), "disks"), Size: testSize, Platform: linux, Transport: w, Make: m.make}
	for _, c := range change {
		c(&options)
	}
	s, err := New(options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func in(dir string) func(*Options) { return func(o *Options) { o.Dir = dir } }

func get(t *testing.T, s *Store, ref string) *Disk {
	t.Helper()
	disk, err := s.Get(t.Context(), ref, nobody)
	require.NoError(t, err)
	return disk
}

func getAndClose(t *testing.T, s *Store, ref string) {
	t.Helper()
	require.NoError(t, get(t, s, ref).Close())
}

// lines is what is on a disk made by a maker.
func lines(t *testing.T, disk *Disk) []string {
	t.Helper()
	raw, err := io.ReadAll(io.NewSectionReader(disk.File, 0, testSize))
	require.NoError(t, err)
	return show(t, raw)
}

func left(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// fixed is a source whose every blob is the same.
type fixed string

func (f fixed) manifest(context.Context, v1.Hash) ([]byte, error) { return []byte(f), nil }
func (f fixed) blob(context.Context, v1.Hash) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(f))), nil
}
