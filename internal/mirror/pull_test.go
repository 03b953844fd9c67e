package mirror

import (
	"context"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecondPullNeedsNoUpstream(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	image := up.push(t, "team/app:v1", 3)
	s := serve(t, up.URL)
	s.pullSame(t, "team/app:v1", image)
	require.Equal(t, 4.0, s.series(t, s.metrics.requests, "blob", "miss"), "three layers and the configuration")
	require.Equal(t, 1.0, s.series(t, s.metrics.requests, "manifest", "miss"))

	hits := s.series(t, s.metrics.requests, "blob", "hit")

	up.Close()
	s.pullSame(t, "team/app:v1", image)
	require.GreaterOrEqual(t, s.series(t, s.metrics.requests, "blob", "hit"), hits+4)
	require.Equal(t, 4.0, s.series(t, s.metrics.requests, "blob", "miss"))
	require.Equal(t, 1.0, s.series(t, s.metrics.requests, "manifest", "stale"))
	require.NotZero(t, s.series(t, s.metrics.upstreamAnswers, "connect"))
}

func TestStartWithoutUpstream(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	image := up.push(t, "team/app:v1", 1)
	dir := t.TempDir()
	first := serveIn(t, up.URL, dir)
	first.pullSame(t, "team/app:v1", image)
	require.NoError(t, first.stop())

	up.Close()
	second := serveIn(t, up.URL, dir)
	second.pullSame(t, "team/app:v1", image)
	require.NoError(t, second.stop())
}

func TestTwoUpstreams(t *testing.T) {
	t.Parallel()
	one, two := newUpstream(t), newUpstream(t)
	first, second := one.push(t, "team/app:v1", 2), two.push(t, "team/app:v1", 2)
	s, other := serve(t, one.URL), serve(t, two.URL)
	s.pullSame(t, "team/app:v1", first)
	other.pullSame(t, "team/app:v1", second)
	one.Close()
	two.Close()
	s.pullSame(t, "team/app:v1", first)
	other.pullSame(t, "team/app:v1", second)
}

func TestATagThatMovesIsFollowed(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	s := serve(t, up.URL)
	s.pullSame(t, "team/app:latest", up.push(t, "team/app:latest", 1))
	s.pullSame(t, "team/app:latest", up.push(t, "team/app:latest", 1))
}

func TestConcurrentPullsFetchOnce(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	image := up.push(t, "team/app:v1", 3)
	s := serve(t, up.URL)
	var all sync.WaitGroup
	for range 24 {
		all.Go(func() {
			if _, err := s.pull(t, "team/app:v1"); err != nil {
				t.Errorf("pull: %v", err)
			}
		})
	}
	all.Wait()
	for i := range 3 {
		require.Equal(t, 1, up.count("GET", "/blobs/"+layerDigest(t, image, i).String()))
	}
	require.Equal(t, 4, up.count("GET", "/blobs/"), "three layers and the configuration")
}

func TestAClientThatGoesAwayDoesNotEndTheFetch(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	image := up.push(t, "team/app:v1", 1)
	layer := layerDigest(t, image, 0)
	entered, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	up.answer(func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(entered) })
		<-goOn
		up.answer(nil)
		up.real.ServeHTTP(w, r)
	})
	s := serve(t, up.URL)
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v2/team/app/blobs/"+layer.String(), nil)
	require.NoError(t, err)
	transport := &http.Transport{}
	impatient := make(chan error)
	go func() {
		response, err := transport.RoundTrip(request)
		if err == nil {
			err = response.Body.Close()
		}
		impatient <- err
	}()
	<-entered
	cancel()
	require.Error(t, <-impatient)
	close(goOn)
	status, body, _ := s.get(t, "/v2/team/app/blobs/"+layer.String())
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, 1, up.count("GET", "/blobs/"+layer.String()))
}

func TestDamagedContentIsFetchedAgain(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func([]byte) []byte{
		"a flipped bit": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"cut short":     func(b []byte) []byte { return b[:len(b)/2] },
		"empty":         func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t)
			image := up.push(t, "team/app:v1", 2)
			s := serve(t, up.URL)
			s.pullSame(t, "team/app:v1", image)
			write(t, s.file(layerDigest(t, image, 0)), damage)
			s.pullSame(t, "team/app:v1", image)
			require.Equal(t, 1.0, s.series(t, s.metrics.evictions, "corrupt"))

			manifest, err := image.Digest()
			require.NoError(t, err)
			write(t, s.file(manifest), damage)
			s.pullSame(t, "team/app:v1", image)
			require.Equal(t, 2.0, s.series(t, s.metrics.evictions, "corrupt"))
			up.Close()
			s.pullSame(t, "team/app:v1", image)
		})
	}
}

func TestDamagedContentIsNeverServed(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	image := up.push(t, "team/app:v1", 1)
	s := serve(t, up.URL)
	s.pullSame(t, "team/app:v1", image)
	up.Close()
	layer := layerDigest(t, image, 0)
	write(t, s.file(layer), func(b []byte) []byte { b[0] ^= 1; return b })
	status, body, _ := s.get(t, "/v2/team/app/blobs/"+layer.String())
	require.Equal(t, http.StatusBadGateway, status)
	require.Contains(t, body, "UNAVAILABLE")
	require.NoFileExists(t, s.file(layer))
}

func TestNothingButPullsIsServed(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	s := serve(t, up.URL)
	for path, want := range map[string]int{
		"/v2/":                               http.StatusOK,
		"/v2/_catalog":                       http.StatusNotFound,
		"/v2/team/app/tags/list":             http.StatusNotFound,
		"/v2/../../etc/blobs/sha256:1":       http.StatusBadRequest,
		"/v2/team/_layers/blobs/sha256:1":    http.StatusBadRequest,
		"/v2/team/app/blobs/sha256:1":        http.StatusBadRequest,
		"/v2/TEAM/manifests/latest":          http.StatusBadRequest,
		"/v2/team/app/manifests/..%2f..%2fx": http.StatusNotFound,
		"/":                                  http.StatusNotFound,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url, nil)
		require.NoError(t, err)
		request.URL.Opaque = path
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, response.StatusCode, path)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		request, err := http.NewRequestWithContext(t.Context(), method, s.url+"/v2/team/app/blobs/uploads/", nil)
		require.NoError(t, err)
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusMethodNotAllowed, response.StatusCode, method)
	}
	require.Zero(t, up.count("/v2/"), "the upstream is asked for none of this")
}

func TestHalfFetchedIsTidiedAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	upload := dir + "/docker/registry/v2/repositories/team/app/_uploads/1"
	require.NoError(t, os.MkdirAll(upload, 0o700))
	s := serveIn(t, "http://127.0.0.1:1", dir)
	require.NoDirExists(t, upload)
	require.NoError(t, s.stop())
}
