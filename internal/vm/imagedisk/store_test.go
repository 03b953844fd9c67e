package imagedisk

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
)

func TestGet(t *testing.T) {
	t.Parallel()
	w, m := newWorld("r.test"), &maker{}
	s := newStore(t, w, m)
	digest := w.push(t, "r.test/a/b:1", testImage(t, "amd64", archive(t, file("a", "1"), file("b", "2")), archive(t, file(".wh.a", ""))))

	disk := get(t, s, "r.test/a/b:1")
	require.Equal(t, []string{"f b 2"}, lines(t, disk))
	require.Equal(t, digest, disk.Digest)
	require.Equal(t, []string{"A=b"}, disk.Config.Env)
	require.Equal(t, "/w", disk.Config.WorkingDir)
	info, err := disk.File.Stat()
	require.NoError(t, err)
	require.EqualValues(t, testSize, info.Size())
	require.Equal(t, os.FileMode(0o444), info.Mode(), "a jailed monitor opens it as another user; the directory keeps the others out")
	_, err = disk.File.Write([]byte("x"))
	require.Error(t, err)
	requests := w.took()
	require.Equal(t, 1, count(requests, "GET", "/manifests/"), requests)
	require.Equal(t, 3, count(requests, "GET", "/blobs/"), requests)
	require.NoError(t, disk.Close())

	for _, ref := range []string{"r.test/a/b:1", "r.test/a/b@" + digest} {
		disk = get(t, s, ref)
		require.Equal(t, []string{"f b 2"}, lines(t, disk))
		require.NoError(t, disk.Close())
	}
	requests = w.took()
	require.Equal(t, 2, count(requests, "HEAD", "/manifests/"), requests)
	require.Len(t, requests, 2)
	require.EqualValues(t, 1, m.made.Load())

	// A new process checks the disk, and makes nothing.
	other := newStore(t, w, m, in(s.options.Dir))
	getAndClose(t, other, "r.test/a/b:1")
	require.Len(t, w.took(), 1)
	require.EqualValues(t, 1, m.made.Load())

	// A tag that moves is followed.
	w.push(t, "r.test/a/b:1", testImage(t, "amd64", archive(t, file("c", "3"))))
	disk = get(t, s, "r.test/a/b:1")
	require.Equal(t, []string{"f c 3"}, lines(t, disk))
	require.NoError(t, disk.Close())
	for _, name := range left(t, s.options.Dir) {
		require.False(t, strings.HasPrefix(name, tempPrefix), name)
	}
}

// TestRegistryOnThisHost uses the default transport, and plain HTTP.
func TestRegistryOnThisHost(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newWorld("r.test").hosts["r.test"])
	defer server.Close()
	pushing := &http.Transport{}
	defer pushing.CloseIdleConnections()
	ref := strings.TrimPrefix(server.URL, "http://") + "/a:1"
	parsed, err := name.ParseReference(ref)
	require.NoError(t, err)
	image := testImage(t, "amd64", archive(t, file("a", "1")))
	require.NoError(t, remote.Write(parsed, image, remote.WithTransport(pushing)))
	s := newStore(t, nil, &maker{}, func(o *Options) { o.Transport = nil })
	disk := get(t, s, ref)
	require.Equal(t, []string{"f a 1"}, lines(t, disk))
	require.NoError(t, disk.Close())

	_, err = s.Get(t.Context(), "127.0.0.1:1/missing:1", nobody)
	require.ErrorContains(t, err, "image 127.0.0.1:1/missing:1 could not be pulled: ")
	require.ErrorContains(t, err, "connection refused")
	require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
	require.NoError(t, s.Close())
}

func TestIndex(t *testing.T) {
	t.Parallel()
	w, m := newWorld("r.test"), &maker{}
	s := newStore(t, w, m)
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: testImage(t, "arm64", archive(t, file("arm", ""))), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}}},
		mutate.IndexAddendum{Add: testImage(t, "amd64", archive(t, file("amd", ""))), Descriptor: v1.Descriptor{Platform: &linux}},
	)
	require.NoError(t, remote.WriteIndex(name.MustParseReference("r.test/a:1"), index, remote.WithTransport(w)))
	disk := get(t, s, "r.test/a:1")
	require.Equal(t, []string{"f amd "}, lines(t, disk))
	require.NoError(t, disk.Close())
	w.took()
	getAndClose(t, s, "r.test/a:1")
	require.Equal(t, []string{"HEAD r.test/v2/a/manifests/1"}, w.took())

	path := filepath.Join(t.TempDir(), "layout")
	_, err := layout.Write(path, index)
	require.NoError(t, err)
	disk, err = s.GetTrusted(t.Context(), "oci:"+path, nobody)
	require.NoError(t, err)
	require.Equal(t, []string{"f amd "}, lines(t, disk))
	require.NoError(t, disk.Close())
	require.Empty(t, w.took())
	require.EqualValues(t, 1, m.made.Load(), "the same image")

	other := newStore(t, w, m, func(o *Options) { o.Platform.Architecture = "s390x" })
	_, err = other.Get(t.Context(), "r.test/a:1", nobody)
	require.EqualError(t, err, "image r.test/a:1: it has nothing for linux/s390x, only for [linux/arm64/v8 linux/amd64]")
	require.Equal(t, fault.User, fault.ClassOf(err))
}

func TestLayout(t *testing.T) {
	t.Parallel()
	m := &maker{}
	s := newStore(t, newWorld(), m)
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	require.NoError(t, err)
	require.NoError(t, path.AppendImage(testImage(t, "amd64", archive(t, file("guest", "")))))
	disk, err := s.GetTrusted(t.Context(), "oci:"+dir, nobody)
	require.NoError(t, err)
	require.Equal(t, []string{"f guest "}, lines(t, disk))
	require.NoError(t, disk.Close())

	_, err = s.Get(t.Context(), "oci:"+dir, nobody)
	require.ErrorContains(t, err, "could not be pulled: could not parse reference")
	for ref, want := range map[string]string{"oci:relative": "must be absolute", "oci:/missing": "image oci:/missing could not be pulled: open /missing/index.json"} {
		_, err = s.GetTrusted(t.Context(), ref, nobody)
		require.ErrorContains(t, err, want)
		require.Equal(t, fault.Operator, fault.ClassOf(err))
	}
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	require.NoError(t, err)
	for _, blob := range blobs {
		raw, err := os.ReadFile(blob)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(blob, append(raw[:len(raw)-1], raw[len(raw)-1]^1), 0o600))
	}
	_, err = newStore(t, newWorld(), m).GetTrusted(t.Context(), "oci:"+dir, nobody)
	require.ErrorContains(t, err, "is damaged: its digest is ")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld("r.test")
	s := newStore(t, w, &maker{})
	for ref, test := range map[string]struct {
		want  string
		class fault.Class
	}{
		"r.test/none:1":           {"image r.test/none:1 could not be pulled: GET https://r.test/v2/none/manifests/1: NAME_UNKNOWN: Unknown name", fault.User},
		"127.0.0.1:1/missing:1":   {"image 127.0.0.1:1/missing:1 could not be pulled: ", fault.Infrastructure},
		"gone.test/a:1":           {"connection refused", fault.Infrastructure},
		"UPPER/a:1":               {"image UPPER/a:1 could not be pulled: could not parse reference: UPPER/a:1", fault.User},
		"":                        {"image  could not be pulled: could not parse reference", fault.User},
		"a b\n\x1b[31m":           {"image a b  [31m could not be pulled: ", fault.User},
		"r.test/a@sha256:00":      {"could not be pulled: ", fault.User},
		"https://r.test/a:1":      {"must not contain a URL scheme", fault.User},
		strings.Repeat("x", 9000): {"could not be pulled", fault.User},
	} {
		_, err := s.Get(t.Context(), ref, nobody)
		require.ErrorContains(t, err, test.want)
		require.Equal(t, test.class, fault.ClassOf(err), ref)
		require.Less(t, len(err.Error()), 5000)
		require.NotContains(t, err.Error(), "\x1b")
	}
	require.Empty(t, left(t, s.options.Dir))
}

func TestPrivateImages(t *testing.T) {
	t.Parallel()
	w, m := newWorld("r.test"), &maker{}
	s := newStore(t, w, m)
	digest := w.push(t, "r.test/private/a:1", testImage(t, "amd64", archive(t, file("a", "secret"))))
	w.private["r.test/private"] = "user:pass:word"
	auth := api.DockerAuthConfig{Auths: map[string]api.DockerAuth{"https://r.test/v1/": {Auth: []byte("user:pass:word")}}}
	wrong := api.DockerAuthConfig{Auths: map[string]api.DockerAuth{"r.test": {Auth: []byte("user:other")}}}

	for range 2 {
		disk, err := s.Get(t.Context(), "r.test/private/a:1", auth)
		require.NoError(t, err)
		require.NoError(t, disk.Close())
		for _, other := range []api.DockerAuthConfig{nobody, wrong} {
			for _, ref := range []string{"r.test/private/a:1", "r.test/private/a@" + digest} {
				_, err = s.Get(t.Context(), ref, other)
				require.ErrorContains(t, err, "image "+ref+" could not be pulled: ")
				require.ErrorContains(t, err, "DENIED: requested access is denied")
				require.Equal(t, fault.User, fault.ClassOf(err))
			}
		}
	}
	require.EqualValues(t, 1, m.made.Load())

	delete(w.hosts, "r.test")
	_, err := s.Get(t.Context(), "r.test/private/a@"+digest, auth)
	require.ErrorContains(t, err, "connection refused")
	require.Equal(t, fault.Infrastructure, fault.ClassOf(err))

	_, err = s.Get(t.Context(), "r.test/private/a:1", api.DockerAuthConfig{Auths: map[string]api.DockerAuth{"r.test": {Auth: []byte("hunter2")}}})
	require.EqualError(t, err, `image r.test/private/a:1: the auth of registry "r.test" is not the base64 of user:password`)
}

// TestOtherRepositories: whoever knows the digest of a private image must not get it from the cache by a registry that claims to have it.
func TestOtherRepositories(t *testing.T) {
	t.Parallel()
	w, m := newWorld("r.test", "copy.test"), &maker{}
	s := newStore(t, w, m)
	image := testImage(t, "amd64", archive(t, file("a", "secret")))
	digest := w.push(t, "r.test/private:1", image)
	getAndClose(t, s, "r.test/private:1")

	manifest, err := image.RawManifest()
	require.NoError(t, err)
	w.hosts["evil.test"] = http.HandlerFunc(func(out http.ResponseWriter, request *http.Request) {
		if strings.Contains(request.URL.Path, "/blobs/") {
			http.NotFound(out, request)
			return
		}
		out.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		out.Header().Set("Docker-Content-Digest", digest)
		_, _ = out.Write(manifest)
	})
	for _, ref := range []string{"evil.test/a:1", "evil.test/a@" + digest} {
		_, err = s.Get(t.Context(), ref, nobody)
		require.ErrorContains(t, err, "image "+ref+" could not be pulled: ")
		require.Equal(t, fault.User, fault.ClassOf(err))
	}

	w.push(t, "copy.test/a:1", image)
	getAndClose(t, s, "copy.test/a:1")
	require.Equal(t, 2, count(w.took(), "GET", "copy.test/v2/a/blobs/"))
	getAndClose(t, s, "copy.test/a:1")
	require.Len(t, w.took(), 1)
	require.EqualValues(t, 1, m.made.Load())
}

func TestMirrors(t *testing.T) {
	t.Parallel()
	w := newWorld("one.test:5000", "two.test", "index.docker.io")
	s := newStore(t, w, &maker{}, func(o *Options) { o.Mirrors = []string{"http://one.test:5000", "https://two.test/"} })
	w.push(t, "two.test/library/a:1", testImage(t, "amd64", archive(t, file("mirror", ""))))
	w.push(t, "index.docker.io/library/b:1", testImage(t, "amd64", archive(t, file("hub", ""))))

	getAndClose(t, s, "a:1")
	requests := w.took()
	require.NotZero(t, count(requests, "HEAD", "one.test:5000/v2/library/a/manifests/1"))
	require.NotZero(t, count(requests, "GET", "two.test/v2/library/a/blobs/"))
	require.Zero(t, count(requests, "HEAD", "index.docker.io"))
	getAndClose(t, s, "docker.io/library/b:1")
	require.NotZero(t, count(w.took(), "GET", "index.docker.io/v2/library/b/blobs/"))

	_, err := s.Get(t.Context(), "c:1", nobody)
	require.ErrorContains(t, err, "image c:1 could not be pulled: GET https://index.docker.io/v2/library/c/manifests/1: NAME_UNKNOWN")
	require.ErrorContains(t, err, "(mirrors: GET ")
	require.Equal(t, fault.User, fault.ClassOf(err))
	delete(w.hosts, "index.docker.io")
	_, err = s.Get(t.Context(), "c:1", nobody)
	require.ErrorContains(t, err, "connection refused (mirrors: ")
	require.Equal(t, fault.Infrastructure, fault.ClassOf(err))

	w.took()
	_, err = s.Get(t.Context(), "one.test/a:1", nobody)
	require.Error(t, err)
	require.Zero(t, count(w.took(), "HEAD", "two.test"))
	for _, bad := range []string{"one.test", "ftp://one.test", "https://one.test/path", "https://", "https://user:secret@one.test/x", ":"} {
		_, err := New(Options{Dir: t.TempDir(), Mirrors: []string{bad}, Make: (&maker{}).make})
		require.ErrorContains(t, err, "registry mirror", bad)
		require.Equal(t, fault.Operator, fault.ClassOf(err))
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestBadBlobs(t *testing.T) {
	t.Parallel()
	raw := archive(t, file("a", strings.Repeat("x", 20000)))
	for name, test := range map[string]struct {
		body func(*http.Request, io.ReadCloser) io.ReadCloser
		want string
	}{
		"cut":     {func(_ *http.Request, b io.ReadCloser) io.ReadCloser { return io.NopCloser(io.LimitReader(b, 5000)) }, "error verifying size; got 5000"},
		"changed": {func(_ *http.Request, b io.ReadCloser) io.ReadCloser { return io.NopCloser(&changed{b}) }, "error verifying sha256 checksum"},
		"silent":  {func(r *http.Request, b io.ReadCloser) io.ReadCloser { return &silentBody{b, r.Context().Done()} }, "nothing came for 20ms"},
		"broken": {func(_ *http.Request, b io.ReadCloser) io.ReadCloser {
			return &broken{io.LimitReader(b, 900), syscall.ECONNRESET}
		}, "connection reset"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, m := newWorld("r.test"), &maker{}
			image := testImage(t, "amd64", raw)
			w.push(t, "r.test/a:1", image)
			layers, err := image.Layers()
			require.NoError(t, err)
			digest, err := layers[0].Digest()
			require.NoError(t, err)
			s := newStore(t, w, m, func(o *Options) { o.Silence = 20 * time.Millisecond })
			w.body = func(r *http.Request, body io.ReadCloser) io.ReadCloser {
				if !strings.HasSuffix(r.URL.Path, digest.String()) {
					return body
				}
				return test.body(r, body)
			}
			_, err = s.Get(t.Context(), "r.test/a:1", nobody)
			require.ErrorContains(t, err, "image r.test/a:1 could not be pulled: ")
			require.ErrorContains(t, err, test.want)
			require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
			require.Empty(t, left(t, s.options.Dir))
			require.Zero(t, m.made.Load())
		})
	}
}

type changed struct{ io.Reader }

func (c *changed) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if n > 600 {
		p[600] ^= 1
	}
	return n, err
}

// silentBody says nothing until its request ends.
type silentBody struct {
	io.ReadCloser
	end <-chan struct{}
}

func (b *silentBody) Read([]byte) (int, error) {
	<-b.end
	return 0, errors.New("ended")
}

func TestUnusableImages(t *testing.T) {
	t.Parallel()
	w := newWorld("r.test")
	s := newStore(t, w, &maker{}, func(o *Options) { o.Limits.Bytes = 100 << 10 })
	w.push(t, "r.test/arm:1", testImage(t, "arm64", archive(t)))
	w.push(t, "r.test/dots:1", testImage(t, "amd64", archive(t), archive(t, file("a/../b", ""))))
	w.push(t, "r.test/nonsense:1", testImage(t, "amd64", []byte(strings.Repeat("nonsense", 100))))
	w.push(t, "r.test/big:1", testImage(t, "amd64", make([]byte, 200<<10)))
	for ref, want := range map[string]string{
		"r.test/arm:1":      "it is for linux/arm64, and this host runs linux/amd64",
		"r.test/dots:1":     `"a/../b": the name has a ".." in it`,
		"r.test/nonsense:1": "layer 1 (sha256:",
		"r.test/big:1":      "layer 1 measures 204800 bytes, 102400 are allowed",
	} {
		_, err := s.Get(t.Context(), ref, nobody)
		require.ErrorContains(t, err, "image "+ref+": ")
		require.ErrorContains(t, err, want)
		require.Equal(t, fault.User, fault.ClassOf(err), ref)
	}
	require.Empty(t, left(t, s.options.Dir))

	for raw, want := range map[string]string{
		`[]`:                                "no JSON of an image",
		`{"schemaVersion":1,"fsLayers":[]}`: "in an old or unknown format",
		`{"manifests":[],"config":{}}`:      "of an image and of an index at once",
		strings.Repeat(" ", maxManifest+1):  "its manifest measures",
	} {
		_, err := parseDocument([]byte(raw))
		require.ErrorContains(t, err, want)
		require.Equal(t, fault.User, fault.ClassOf(err))
	}
	digest := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}
	o := opener{silence: time.Minute, from: fixed(`{"os":"linux","rootfs":{"diff_ids":["` + digest.String() + `"]}}`)}
	for raw, want := range map[string]string{
		`{"manifests":[]}`:            "one of an index",
		`{"config":{"size":9000000}}`: "its configuration measures 9000000 bytes",
		`{"config":{"size":200,"digest":"` + digest.String() + `"}}`:                                                "its manifest has 0 layers, its configuration 1",
		`{"config":{"size":200},"layers":[{"digest":"` + digest.String() + `","urls":["https://elsewhere.test"]}]}`: "layer 1 lies on another server",
		`{"config":{"size":10},"layers":[]}`:                                                                        "larger than the 10 bytes that the manifest says",
	} {
		_, err := o.image(t.Context(), []byte(raw), linux, Limits{}.withDefaults())
		require.ErrorContains(t, err, want, raw)
	}
}
