package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func client(t *testing.T, upstream string) *Client {
	t.Helper()
	at, err := url.Parse(upstream)
	require.NoError(t, err)
	c := New(Config{URL: at, HeaderTimeout: 5 * time.Second, Credentials: func() (string, string, error) { return "me", "secret", nil }})
	t.Cleanup(c.Close)
	return c
}

func ask(t *testing.T, c *Client, method, path string) (string, *Trace, error) {
	t.Helper()
	ctx, trace := WithTrace(t.Context())
	request, err := http.NewRequestWithContext(ctx, method, "any://upstream"+path, nil)
	require.NoError(t, err)
	response, err := c.RoundTrip(request)
	if err != nil {
		return "", trace, err
	}
	body, err := io.ReadAll(response.Body)
	return string(body), trace, errors.Join(err, response.Body.Close())
}

func TestNobodyIsAskedForTheBase(t *testing.T) {
	t.Parallel()
	body, trace, err := ask(t, client(t, "http://127.0.0.1:1"), http.MethodGet, "/v2/")
	require.NoError(t, err)
	require.Empty(t, body)
	require.Nil(t, trace.Failure())
	_, _, err = ask(t, client(t, "http://127.0.0.1:1"), http.MethodPost, "/v2/a/blobs/uploads/")
	require.ErrorContains(t, err, "only reads")
}

func TestATokenStaysWithItsRegistry(t *testing.T) {
	t.Parallel()
	var sent string
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("Authorization")
		_, _ = io.WriteString(w, "content")
	}))
	t.Cleanup(store.Close)
	asked := 0
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		asked++
		http.Redirect(w, r, store.URL+"/blob", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(registry.Close)
	body, trace, err := ask(t, client(t, registry.URL), http.MethodGet, "/v2/a/blobs/sha256:1")
	require.NoError(t, err)
	require.Equal(t, "content", body)
	require.Equal(t, 1, asked)
	require.Empty(t, sent, "another host gets no credentials")
	require.True(t, trace.Fetched())
}

func TestASignatureIsNotTold(t *testing.T) {
	t.Parallel()
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/blob?Signature=secret", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(registry.Close)
	_, trace, err := ask(t, client(t, registry.URL), http.MethodGet, "/v2/a/blobs/sha256:1")
	require.ErrorContains(t, err, "http://127.0.0.1:1/blob")
	require.NotContains(t, err.Error()+trace.Failure().Error(), "secret")
	require.Equal(t, Connect, trace.Failure().Kind)
}

func TestAPrefixIsKept(t *testing.T) {
	t.Parallel()
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) }))
	t.Cleanup(registry.Close)
	body, _, err := ask(t, client(t, registry.URL+"/prefix"), http.MethodGet, "/v2/a/blobs/sha256:1")
	require.NoError(t, err)
	require.Equal(t, "/prefix/v2/a/blobs/sha256:1", body)
}

func TestRequestsThatAreGivenUpSayNothing(t *testing.T) {
	t.Parallel()
	c := client(t, "http://127.0.0.1:1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "any://upstream/v2/a/blobs/sha256:1", nil)
	require.NoError(t, err)
	response, err := c.RoundTrip(request)
	require.Error(t, err)
	require.Nil(t, response)
	require.Nil(t, c.pause.current(time.Now()))
	_, _, err = ask(t, c, http.MethodGet, "/v2/a/blobs/sha256:1")
	require.Error(t, err)
	require.NotNil(t, c.pause.current(time.Now()), "this one was refused")
	_, trace, err := ask(t, c, http.MethodGet, "/v2/a/blobs/sha256:1")
	require.ErrorContains(t, err, "left alone")
	require.Equal(t, Connect, trace.Failure().Kind)
}

func TestWhoMayHaveCredentials(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		upstream, realm string
		want            bool
	}{
		{"https://registry-1.docker.io", "https://auth.docker.io/token", true},
		{"https://registry.gitlab.com", "https://gitlab.com/jwt/auth", true},
		{"https://ghcr.io", "https://ghcr.io/token", true},
		{"http://127.0.0.1:5000", "http://127.0.0.1:5000/token", true},
		{"http://127.0.0.1:5000", "http://127.0.0.1:5001/token", false},
		{"http://127.0.0.1:5000", "https://127.0.0.1/token", false},
		{"https://registry-1.docker.io", "http://auth.docker.io/token", false},
		{"https://registry-1.docker.io", "https://auth.docker.io.attacker.example/token", false},
		{"https://mine.github.io", "https://yours.github.io/token", false},
		{"https://registry", "https://other/token", false},
		{"https://ghcr.io", "", false},
	} {
		realm, err := url.Parse(test.realm)
		require.NoError(t, err)
		require.Equal(t, test.want, client(t, test.upstream).trusts(realm), "%s to %s", test.realm, test.upstream)
	}
}

func TestAddressesThatAreNoRegistrys(t *testing.T) {
	t.Parallel()
	for address, refused := range map[string]bool{
		"169.254.169.254:80": true, "[fe80::1]:80": true, "[fd00:ec2::254]:80": true, "[::ffff:169.254.169.254]:80": true, "nonsense": true,
		"10.0.0.1:443": false, "127.0.0.1:5000": false, "[2001:db8::1]:443": false,
	} {
		require.Equal(t, refused, refuseLinkLocal(t.Context(), "tcp", address, nil) != nil, address)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "99999999999999": 0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2025 03:05:05 GMT": 0,
	} {
		require.Equal(t, want, retryAfter(text, now), text)
	}
	p := new(pause)
	p.after(&Failure{Kind: Throttled, RetryAfter: 24 * time.Hour, Err: errors.New("x")}, now)
	require.NotNil(t, p.current(now.Add(maxPause-1)))
	require.Nil(t, p.current(now.Add(maxPause)), "no upstream is left alone for a day")
}

func TestTokensAreBounded(t *testing.T) {
	t.Parallel()
	kept := tokens{kept: make(map[string]token)}
	for i := range 3 * maxTokens {
		kept.keep(fmt.Sprint(i), "x", time.Now().Add(time.Hour))
	}
	require.LessOrEqual(t, len(kept.kept), maxTokens)
	require.Equal(t, "repository:team/app:pull", scopeOf("/v2/team/app/manifests/v1"))
	require.Equal(t, "repository:blobs/app:pull", scopeOf("/v2/blobs/app/blobs/sha256:1"))
	require.Empty(t, scopeOf("/v2/"))
}
