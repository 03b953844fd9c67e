package publish

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
)

const user, password = "someone", "correct horse"

// fakeRegistry is a registry on the loopback, over plain HTTP, that wants a password.
type fakeRegistry struct {
	host string
	auth authn.Authenticator
	// refuse is a word; manifests that are put under a name with it are refused.
	refuse string

	mu   sync.Mutex
	puts []string
}

func newRegistry(t *testing.T) *fakeRegistry {
	t.Helper()
	r := &fakeRegistry{auth: &authn.Basic{Username: user, Password: password}}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if u, p, _ := req.BasicAuth(); u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="fake"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/manifests/") {
			_, reference, _ := strings.Cut(req.URL.Path, "/manifests/")
			if r.refuse != "" && strings.Contains(reference, r.refuse) {
				http.Error(w, "not that one", http.StatusForbidden)
				return
			}
			r.mu.Lock()
			r.puts = append(r.puts, reference)
			r.mu.Unlock()
		}
		inner.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	return r
}

// Resolve makes the registry a keychain with its own password.
func (r *fakeRegistry) Resolve(authn.Resource) (authn.Authenticator, error) { return r.auth, nil }

func (r *fakeRegistry) get(t *testing.T, reference string) *remote.Descriptor {
	t.Helper()
	ref, err := name.ParseReference(r.host + "/" + reference)
	require.NoError(t, err)
	got, err := remote.Get(ref, remote.WithAuth(r.auth), remote.WithContext(t.Context()))
	require.NoError(t, err)
	return got
}

func imageLayout(t *testing.T) (*ocidir.Layout, v1.Hash) {
	t.Helper()
	image, err := random.Image(2000, 2)
	require.NoError(t, err)
	path, err := layout.Write(t.TempDir(), empty.Index)
	require.NoError(t, err)
	require.NoError(t, path.AppendImage(image))
	return opened(t, path)
}

func opened(t *testing.T, path layout.Path) (*ocidir.Layout, v1.Hash) {
	t.Helper()
	l, err := ocidir.Open(string(path))
	require.NoError(t, err)
	top, err := l.Top()
	require.NoError(t, err)
	return l, top.Digest
}

func TestImagesArePushedByDigestThenTagged(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	l, digest := imageLayout(t)
	var out bytes.Buffer
	require.NoError(t, Push{From: l, Repository: r.host + "/some/executor", Tags: []string{"latest", "v1"}, Keychain: r}.Run(t.Context(), &out))
	at := r.host + "/some/executor"
	require.Equal(t, at+"@"+digest.String()+"\n"+at+":latest\n"+at+":v1\n", out.String())
	require.Equal(t, []string{digest.String(), "latest", "v1"}, r.puts)
	for _, reference := range []string{"@" + digest.String(), ":latest", ":v1"} {
		got := r.get(t, "some/executor"+reference)
		require.Equal(t, digest, got.Digest)
		image, err := got.Image()
		require.NoError(t, err)
		require.NoError(t, validate.Image(image))
	}
}

func TestIndexesArePushedWithTheirImages(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	index, err := random.Index(1000, 2, 2)
	require.NoError(t, err)
	path, err := layout.Write(t.TempDir(), empty.Index)
	require.NoError(t, err)
	require.NoError(t, path.AppendIndex(index))
	l, digest := opened(t, path)
	require.NoError(t, Push{From: l, Repository: r.host + "/executor", Tags: []string{"latest"}, Keychain: r}.Run(t.Context(), &bytes.Buffer{}))
	require.Equal(t, []string{digest.String(), "latest"}, r.puts[len(r.puts)-2:], "the index comes after its images")
	pushed, err := r.get(t, "executor:latest").ImageIndex()
	require.NoError(t, err)
	require.NoError(t, validate.Index(pushed))
}

func TestPushesThatFail(t *testing.T) {
	t.Parallel()
	l, digest := imageLayout(t)
	for name, c := range map[string]struct {
		change func(p *Push, r *fakeRegistry)
		want   string
		puts   int
	}{
		"no repository":       {func(p *Push, _ *fakeRegistry) { p.Repository = "" }, "repository is not set", 0},
		"repository with tag": {func(p *Push, _ *fakeRegistry) { p.Repository += ":v1" }, "it must have no tag", 0},
		"with digest":         {func(p *Push, _ *fakeRegistry) { p.Repository += "@" + digest.String() }, "must not have a digest", 0},
		"bad tag":             {func(p *Push, _ *fakeRegistry) { p.Tags = []string{"fine", "not/fine"} }, `tag "not/fine"`, 0},
		"tag is a digest":     {func(p *Push, _ *fakeRegistry) { p.Tags = []string{digest.String()} }, "tag ", 0},
		"wrong password":      {func(_ *Push, r *fakeRegistry) { r.auth = &authn.Basic{Username: user, Password: "sesame"} }, "pushing ", 0},
		"no credentials":      {func(_ *Push, r *fakeRegistry) { r.auth = authn.Anonymous }, "401 Unauthorized", 0},
		"digest refused":      {func(_ *Push, r *fakeRegistry) { r.refuse = "sha256" }, "pushing ", 0},
		"tag refused":         {func(_ *Push, r *fakeRegistry) { r.refuse = "v2" }, "as v2: ", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegistry(t)
			p := Push{From: l, Repository: r.host + "/executor", Tags: []string{"v1", "v2", "v3"}, Keychain: r}
			c.change(&p, r)
			var out bytes.Buffer
			err := p.Run(t.Context(), &out)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), password)
			require.NotContains(t, err.Error(), "sesame")
			require.Len(t, r.puts, c.puts)
			require.Equal(t, c.puts, strings.Count(out.String(), "\n"), "only what is there is told")
		})
	}
}

func TestSpoiltLayoutsAreNotPushed(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	image, err := random.Image(2000, 1)
	require.NoError(t, err)
	path, err := layout.Write(t.TempDir(), empty.Index)
	require.NoError(t, err)
	require.NoError(t, path.AppendImage(image))
	layers, err := image.Layers()
	require.NoError(t, err)
	digest, err := layers[0].Digest()
	require.NoError(t, err)
	blob := string(path) + "/blobs/sha256/" + digest.Hex
	text, err := os.ReadFile(blob)
	require.NoError(t, err)
	text[len(text)/2] ^= 1
	require.NoError(t, os.Remove(blob))
	require.NoError(t, os.WriteFile(blob, text, 0o600))

	l, _ := opened(t, path)
	err = Push{From: l, Repository: r.host + "/executor", Tags: []string{"latest"}, Keychain: r}.Run(t.Context(), &bytes.Buffer{})
	require.ErrorContains(t, err, "holds something else")
	require.Empty(t, r.puts)
}

func TestPushesEndWithTheirContext(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }))
	t.Cleanup(server.Close)
	l, _ := imageLayout(t)
	ctx, cancel := context.WithCancel(t.Context())
	p := Push{From: l, Repository: strings.TrimPrefix(server.URL, "http://") + "/executor", Keychain: authn.NewMultiKeychain()}
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, &bytes.Buffer{}) }()
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

func TestPlainHTTPIsForTheLoopbackUnlessAllowed(t *testing.T) {
	t.Parallel()
	for registry, want := range map[string]string{"127.0.0.1:5000": "http", "localhost:5000": "http", "registry.example.com": "https"} {
		repository, err := name.NewRepository(registry + "/x")
		require.NoError(t, err)
		require.Equal(t, want, repository.Scheme(), registry)
	}
	repository, err := name.NewRepository("registry.example.com/x", Push{Insecure: true}.options()...)
	require.NoError(t, err)
	require.Equal(t, "http", repository.Scheme())
}
