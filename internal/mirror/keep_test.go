package mirror

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/mirror/shelf"
)

func TestEvictionByAge(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	old, kept := up.push(t, "team/old:v1", 1), up.push(t, "team/kept:v1", 1)
	now := newClock()
	s := serve(t, up.URL, func(c *Config) { c.Now, c.Limits.MaxAge = now.Now, 24*time.Hour })
	s.pullSame(t, "team/old:v1", old)
	s.pullSame(t, "team/kept:v1", kept)
	now.pass(20 * time.Hour)
	s.pullSame(t, "team/kept:v1", kept)
	now.pass(20 * time.Hour)
	require.NoError(t, s.evict())
	require.Equal(t, 3.0, s.series(t, s.metrics.evictions, "age"), "manifest, configuration and layer of what nobody asked for")
	require.NoFileExists(t, s.file(layerDigest(t, old, 0)))
	require.Equal(t, float64(now.Now().Unix()), testutil.ToFloat64(s.metrics.lastEviction))
	require.NoDirExists(t, s.dir+"/docker/registry/v2/repositories/team/old/_manifests/tags/v1", "a tag of nothing is swept")

	s.pullSame(t, "team/old:v1", old) // from the upstream
	up.Close()
	s.pullSame(t, "team/kept:v1", kept)
	s.pullSame(t, "team/old:v1", old)
}

func TestEvictionByWatermark(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]shelf.Limits{
		"bytes":   {High: shelf.Mark{Bytes: 40_000}, Low: shelf.Mark{Bytes: 30_000}},
		"percent": {High: shelf.Mark{Percent: 40}, Low: shelf.Mark{Percent: 30}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t)
			first, second := up.push(t, "team/first:v1", 3), up.push(t, "team/second:v1", 2)
			now := newClock()
			s := serve(t, up.URL, func(c *Config) {
				c.Now, c.Limits = now.Now, limits
				c.Limits.Disk = func() (shelf.Disk, error) {
					used := kept(c.Dir)
					return shelf.Disk{Used: used, Free: 100_000 - used}, nil
				}
			})
			s.pullSame(t, "team/first:v1", first)
			now.pass(time.Hour)
			require.NoError(t, s.evict())
			require.Zero(t, s.series(t, s.metrics.evictions, "watermark"), "below the high mark")

			held := layerDigest(t, first, 0)
			release := s.shelf.Hold(digestOf(held))
			s.pullSame(t, "team/second:v1", second)
			now.pass(time.Hour)
			require.NoError(t, s.evict())
			release()
			require.NotZero(t, s.series(t, s.metrics.evictions, "watermark"))
			require.LessOrEqual(t, kept(s.dir), int64(40_000))
			require.FileExists(t, s.file(held), "what is being read stays")
			require.NoFileExists(t, s.file(layerDigest(t, first, 1)))
			for i := range 2 {
				require.FileExists(t, s.file(layerDigest(t, second, i)), "what was used last stays")
			}
			manifest, err := first.Digest()
			require.NoError(t, err)
			require.FileExists(t, s.file(manifest), "manifests go by age")
			s.pullSame(t, "team/first:v1", first)
		})
	}
}

func TestAFetchThatFillsTheDiskEvicts(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	old, fresh := up.push(t, "team/old:v1", 3), up.push(t, "team/fresh:v1", 1)
	now := newClock()
	var full atomic.Bool
	s := serve(t, up.URL, func(c *Config) {
		c.Now = now.Now
		c.Limits = shelf.Limits{High: shelf.Mark{Percent: 50}, Low: shelf.Mark{Percent: 50}, Disk: func() (shelf.Disk, error) {
			if full.Load() {
				return shelf.Disk{Used: 99, Free: 1}, nil
			}
			return shelf.Disk{Used: 1, Free: 99}, nil
		}}
	})
	s.pullSame(t, "team/old:v1", old)
	now.pass(time.Hour)
	full.Store(true)
	s.pullSame(t, "team/fresh:v1", fresh)
	require.Eventually(t, func() bool {
		_, err := os.Stat(s.file(layerDigest(t, old, 0)))
		return os.IsNotExist(err)
	}, 10*time.Second, time.Millisecond, "long before the next round")
}

// kept is how many bytes of blobs are on the disk; what is removed meanwhile doesn't count.
func kept(dir string) int64 {
	var total int64
	_ = filepath.Walk(dir+"/docker/registry/v2/blobs", func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			total += info.Size()
		}
		return nil
	})
	return total
}

func TestHealth(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	up.push(t, "library/small:latest", 1)
	now := newClock()
	s := serve(t, up.URL, func(c *Config) { c.HealthImage, c.Now = "library/small", now.Now })
	server := httptest.NewServer(s.Observability(s.reg, prometheus.DefaultGatherer))
	t.Cleanup(server.Close)
	ask := func(want int) Health {
		t.Helper()
		code, body, _ := (&served{url: server.URL}).get(t, "/health")
		require.Equal(t, want, code, body)
		var health Health
		require.NoError(t, json.Unmarshal([]byte(body), &health))
		return health
	}
	require.Equal(t, Healthy, ask(http.StatusOK).Status)
	require.Equal(t, 1, up.count("GET", "/manifests/latest")+up.count("GET", "/manifests/sha256"), "it really pulls")
	require.Equal(t, 1, up.count("GET", "/blobs/"))
	asked := up.count("/v2/")
	require.Equal(t, Healthy, ask(http.StatusOK).Status)
	require.Equal(t, asked, up.count("/v2/"), "a finding is repeated for a while")

	up.answer(status(http.StatusInternalServerError))
	now.pass(time.Minute)
	degraded := ask(http.StatusOK)
	require.Equal(t, Degraded, degraded.Status)
	require.Contains(t, degraded.Reason, "500")
	require.Equal(t, 1.0, testutil.ToFloat64(s.metrics.health))

	require.NoError(t, os.RemoveAll(s.dir+"/docker"))
	now.pass(time.Minute)
	require.Equal(t, Failed, ask(http.StatusServiceUnavailable).Status)

	up.answer(nil)
	now.pass(time.Minute)
	require.Equal(t, Healthy, ask(http.StatusOK).Status)
	require.NoError(t, os.RemoveAll(s.dir+"/trash"))
	now.pass(time.Minute)
	require.Contains(t, ask(http.StatusServiceUnavailable).Reason, "data directory")
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	image := up.push(t, "team/app:v1", 1)
	s := serve(t, up.URL)
	s.pullSame(t, "team/app:v1", image)
	require.NoError(t, s.evict())
	server := httptest.NewServer(s.Observability(s.reg, prometheus.DefaultGatherer))
	t.Cleanup(server.Close)
	code, body, _ := (&served{url: server.URL}).get(t, "/metrics")
	require.Equal(t, http.StatusOK, code)
	for _, series := range []string{
		`registry_mirror_requests_total{kind="blob",result="miss"} 2`, `registry_mirror_requests_total{kind="manifest",result="stale"} 0`,
		"registry_mirror_hit_ratio 0.", "registry_mirror_served_bytes_total ", "registry_mirror_fetched_bytes_total ",
		`registry_mirror_evictions_total{reason="watermark"} 0`, `registry_mirror_disk_bytes{state="free"} `, "registry_mirror_cache_bytes ",
		"registry_mirror_last_eviction_timestamp_seconds 0", `registry_mirror_upstream_requests_total{outcome="timeout"} 0`, "registry_mirror_health -1",
		"registry_proxy_pulled_bytes_total", "go_goroutines", "process_resident_memory_bytes",
	} {
		require.Contains(t, body, "\n"+series)
	}
	require.NotContains(t, body, "registry_mirror_fetched_bytes_total 0\n")
	require.Greater(t, strings.Count(body, "\n"), 50)
	code, _, _ = (&served{url: server.URL}).get(t, "/alive")
	require.Equal(t, http.StatusNoContent, code)
}
