package mirror

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sourcegraph/log"
	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
)

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// TestUpstreamFails: what is cached is served whatever the upstream answers, except that it has it no more; for the rest clients learn what is
// wrong in terms that make them go on elsewhere.
func TestUpstreamFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer  http.HandlerFunc
		want    int
		outcome string
		cached  bool
	}{
		"throttles":       {status(http.StatusTooManyRequests, "Retry-After", "7"), http.StatusTooManyRequests, "throttled", true},
		"fails":           {status(http.StatusInternalServerError), http.StatusBadGateway, "server", true},
		"is being mended": {status(http.StatusServiceUnavailable, "Retry-After", "7"), http.StatusBadGateway, "server", true},
		"denies":          {status(http.StatusForbidden), http.StatusForbidden, "denied", true},
		"wants a token of strangers": {
			status(http.StatusUnauthorized, "WWW-Authenticate", `Bearer realm="https://attacker.example/token",service="x"`), http.StatusForbidden, "denied", true,
		},
		"has it no more": {status(http.StatusNotFound), http.StatusNotFound, "missing", false},
		"hangs":          {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, http.StatusGatewayTimeout, "timeout", true},
		"sends nonsense": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			_, _ = io.WriteString(w, "{}")
		}, http.StatusBadGateway, "answered", false},
		"sends a page":                      {status(http.StatusOK, "Content-Type", "text/html"), http.StatusBadGateway, "broken", true},
		"redirects to the metadata service": {status(http.StatusFound, "Location", "http://169.254.169.254/latest"), http.StatusBadGateway, "connect", true},
		"sends a manifest without an end": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			for r.Method == http.MethodGet && r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, http.StatusBadGateway, "broken", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t)
			image := up.push(t, "team/app:v1", 1)
			now := newClock()
			s := serve(t, up.URL, func(c *Config) {
				c.Now = now.Now
				if name == "hangs" {
					c.HeaderTimeout = 2 * time.Second
				}
			})
			s.pullSame(t, "team/app:v1", image)
			up.answer(test.answer)

			code, body, header := s.get(t, "/v2/team/app/manifests/unknown")
			require.Equal(t, test.want, code, body)
			require.Contains(t, body, `"errors"`)
			if test.want == http.StatusTooManyRequests {
				require.Equal(t, "7", header.Get("Retry-After"))
			}
			require.NotZero(t, s.series(t, s.metrics.upstreamAnswers, test.outcome))

			now.pass(10 * time.Minute) // past any pause
			code, body, _ = s.get(t, "/v2/team/app/manifests/v1")
			if test.cached {
				s.pullSame(t, "team/app:v1", image)
				require.Equal(t, http.StatusOK, code, body)
				require.NotZero(t, s.series(t, s.metrics.requests, "manifest", "stale"))
			} else {
				require.GreaterOrEqual(t, code, 400, body)
			}
			// The upstream is back.
			up.answer(nil)
			now.pass(10 * time.Minute)
			fresh := up.push(t, "team/app:v2", 1)
			s.pullSame(t, "team/app:v2", fresh)
		})
	}
}

func TestAnUpstreamThatThrottlesIsLeftAlone(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	now := newClock()
	s := serve(t, up.URL, func(c *Config) { c.Now = now.Now })
	up.answer(status(http.StatusTooManyRequests, "Retry-After", "60"))
	_, _, _ = s.get(t, "/v2/team/app/manifests/v1")
	asked := up.count("/v2/team")
	for range 5 {
		code, _, header := s.get(t, "/v2/team/app/manifests/v1")
		require.Equal(t, http.StatusTooManyRequests, code)
		require.Equal(t, "60", header.Get("Retry-After"))
	}
	require.Equal(t, asked, up.count("/v2/team"))
	now.pass(time.Minute)
	_, _, _ = s.get(t, "/v2/team/app/manifests/v1")
	require.Greater(t, up.count("/v2/team"), asked)
}

// TestBlobsThatBreakOff: half a blob, a wrong one, one that stands still and one that is too large are never served, and leave nothing behind.
func TestBlobsThatBreakOff(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	layer := layerDigest(t, up.push(t, "team/app:v1", 1), 0)
	size := 9000
	for name, answer := range map[string]http.HandlerFunc{
		"half": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			if r.Method == http.MethodGet {
				_, _ = w.Write(make([]byte, size/2))
			}
		},
		"wrong": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			if r.Method == http.MethodGet {
				_, _ = w.Write(make([]byte, size))
			}
		},
		"standing still": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			if r.Method == http.MethodGet {
				_, _ = w.Write(make([]byte, 10))
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}
		},
		"too large": status(http.StatusOK, "Content-Length", "99999999"),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, up.URL, func(c *Config) {
				c.HeaderTimeout, c.MaxBlob = 30*time.Second, 1<<20
				if name == "standing still" {
					c.IdleTimeout = 2 * time.Second
				}
			})
			up.answer(answer)
			code, body, _ := s.get(t, "/v2/team/app/blobs/"+layer.String())
			require.Equal(t, http.StatusBadGateway, code, body)
			require.NoFileExists(t, s.file(layer))
			uploads, err := filepath.Glob(s.dir + "/docker/registry/v2/repositories/team/app/_uploads/*")
			require.NoError(t, err)
			require.Empty(t, uploads)
			up.answer(nil)
			code, _, _ = s.get(t, "/v2/team/app/blobs/"+layer.String())
			require.Equal(t, http.StatusOK, code)
		})
	}
}

// TestCredentials: they are sent to the upstream and its own token service, by both schemes, and stand in no log, error or metric.
func TestCredentials(t *testing.T) {
	t.Parallel()
	const user, password, token = "mirror-user", "s3cret-of-the-operator", "t0ken-of-the-registry"
	for _, scheme := range []string{"Basic", "Bearer"} {
		for _, right := range []bool{true, false} {
			t.Run(fmt.Sprint(scheme, right), func(t *testing.T) {
				t.Parallel()
				up := newUpstream(t)
				image := up.push(t, "team/app:v1", 1)
				tokens := 0
				up.answer(func(w http.ResponseWriter, r *http.Request) {
					name, secret, ok := r.BasicAuth()
					known := ok && name == user && secret == password && right
					switch {
					case r.URL.Path == "/token" && known:
						tokens++
						_, _ = fmt.Fprintf(w, `{"token":%q,"expires_in":300}`, token)
					case r.URL.Path == "/token":
						w.WriteHeader(http.StatusUnauthorized)
					case scheme == "Basic" && known, scheme == "Bearer" && r.Header.Get("Authorization") == "Bearer "+token:
						up.real.ServeHTTP(w, r)
					default:
						challenge := `Basic realm="x"`
						if scheme == "Bearer" {
							challenge = fmt.Sprintf(`Bearer realm="http://%s/token",service="x"`, r.Host)
						}
						w.Header().Set("WWW-Authenticate", challenge)
						w.WriteHeader(http.StatusUnauthorized)
					}
				})
				logger, exported := logtest.Captured(t)
				s := serveLogged(t, logger, up.URL, filepath.Join(t.TempDir(), "data"), func(c *Config) {
					c.Credentials = func() (string, string, error) { return user, password, nil }
				})
				said := new(strings.Builder)
				if right {
					s.pullSame(t, "team/app:v1", image)
					require.LessOrEqual(t, tokens, 2, "a token is kept")
				} else {
					code, body, header := s.get(t, "/v2/team/app/manifests/v1")
					require.Equal(t, http.StatusForbidden, code)
					fmt.Fprint(said, body, header)
				}
				families, err := s.reg.Gather()
				require.NoError(t, err)
				fmt.Fprint(said, families, exported())
				for _, secret := range []string{password, token, "bWlycm9yLXVzZXI"} {
					require.NotContains(t, said.String(), secret)
				}
			})
		}
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := serve(t, "http://127.0.0.1:1")
	_, err := New(log.NoOp(), s.config, prometheus.NewRegistry())
	require.ErrorContains(t, err, "another registry-mirror uses it")

	config := s.config
	config.Dir = filepath.Join(t.TempDir(), "not-mounted", "docker-io")
	_, err = New(log.NoOp(), config, prometheus.NewRegistry())
	require.ErrorIs(t, err, os.ErrNotExist)
}
