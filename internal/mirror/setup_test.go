package mirror

import (
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/opencontainers/go-digest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sourcegraph/log"
	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// The distribution never ends the goroutine that hands its events to nobody, one for each app.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/docker/go-events.(*Broadcaster).run"))
}

// clock is a time that only tests move. It begins now: files have real times.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// upstream is a real registry, whose answers a test can replace.
type upstream struct {
	*httptest.Server
	mu       sync.Mutex
	requests map[string]int // by method and path
	instead  http.HandlerFunc
	real     http.Handler
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{requests: make(map[string]int), real: registry.New(registry.Logger(stdlog.New(io.Discard, "", 0)))}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.requests[r.Method+" "+r.URL.Path]++
		instead := u.instead
		u.mu.Unlock()
		if instead != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			instead(w, r)
			return
		}
		u.real.ServeHTTP(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) answer(instead http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.instead = instead
}

// count counts requests whose method and path hold all parts.
func (u *upstream) count(parts ...string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	total := 0
next:
	for request, times := range u.requests {
		for _, part := range parts {
			if !strings.Contains(request, part) {
				continue next
			}
		}
		total += times
	}
	return total
}

// options make ggcr ask once, with connections that end with the test.
func options(t *testing.T) []remote.Option {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return []remote.Option{
		remote.WithContext(t.Context()), remote.WithTransport(transport), remote.WithRetryStatusCodes(),
		remote.WithRetryPredicate(func(error) bool { return false }),
	}
}

func refTo(t *testing.T, server, image string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(strings.TrimPrefix(server, "http://")+"/"+image, name.Insecure)
	require.NoError(t, err)
	return ref
}

// push makes an image of random layers at the upstream.
func (u *upstream) push(t *testing.T, image string, layers int) v1.Image {
	t.Helper()
	made, err := random.Image(8<<10, int64(layers))
	require.NoError(t, err)
	require.NoError(t, remote.Write(refTo(t, u.URL, image), made, options(t)...))
	return made
}

// served is a mirror with its server.
type served struct {
	*Mirror
	url string
	reg *prometheus.Registry
	dir string
	// stop ends both, once.
	stop func() error
}

type setup func(*Config)

func serve(t *testing.T, upstreamURL string, setups ...setup) *served {
	t.Helper()
	return serveLogged(t, logtest.Scoped(t), upstreamURL, filepath.Join(t.TempDir(), "data"), setups...)
}

func serveLogged(t *testing.T, logger log.Logger, upstreamURL, dir string, setups ...setup) *served {
	t.Helper()
	at, err := url.Parse(upstreamURL)
	require.NoError(t, err)
	config := Config{Dir: dir, Upstream: at, HeaderTimeout: 30 * time.Second, EvictEvery: time.Hour}
	for _, setup := range setups {
		setup(&config)
	}
	reg := prometheus.NewRegistry()
	m, err := New(logger, config, reg)
	require.NoError(t, err)
	server := httptest.NewServer(m)
	s := &served{Mirror: m, url: server.URL, reg: reg, dir: dir}
	s.stop = sync.OnceValue(func() error {
		server.Close()
		return m.Close()
	})
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	return s
}

// serveIn serves a directory, which can be served again after stop.
func serveIn(t *testing.T, upstreamURL, dir string, setups ...setup) *served {
	t.Helper()
	return serveLogged(t, logtest.Scoped(t), upstreamURL, dir, setups...)
}

// pull reads an image whole, and returns its manifest's digest.
func (s *served) pull(t *testing.T, image string) (v1.Hash, error) {
	t.Helper()
	got, err := remote.Image(refTo(t, s.url, image), options(t)...)
	if err != nil {
		return v1.Hash{}, err
	}
	if err := validate.Image(got); err != nil {
		return v1.Hash{}, err
	}
	return got.Digest()
}

func (s *served) pullSame(t *testing.T, image string, want v1.Image) {
	t.Helper()
	got, err := s.pull(t, image)
	require.NoError(t, err)
	digest, err := want.Digest()
	require.NoError(t, err)
	require.Equal(t, digest, got)
}

// get asks for a path of the API and returns status, body and headers.
func (s *served) get(t *testing.T, path string) (int, string, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	require.NoError(t, err)
	request.Header = healthAccepts.Clone()
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body), response.Header
}

// series is a metric's value.
func (s *served) series(t *testing.T, counter *prometheus.CounterVec, labels ...string) float64 {
	t.Helper()
	return testutil.ToFloat64(counter.WithLabelValues(labels...))
}

// file is where a blob's bytes are.
func (s *served) file(h v1.Hash) string {
	return filepath.Join(s.dir, "docker/registry/v2/blobs", h.Algorithm, h.Hex[:2], h.Hex, "data")
}

func layerDigest(t *testing.T, image v1.Image, index int) v1.Hash {
	t.Helper()
	layers, err := image.Layers()
	require.NoError(t, err)
	digest, err := layers[index].Digest()
	require.NoError(t, err)
	return digest
}

func write(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, change(content), 0o600))
}

func digestOf(h v1.Hash) digest.Digest { return digest.Digest(h.String()) }
