//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxyBefore starts a reverse proxy before a frontend that does something to each answer, and returns its URL.
func proxyBefore(t testing.TB, frontend string, change func(*http.Response) error) string {
	t.Helper()
	target, err := url.Parse(frontend)
	require.NoError(t, err)
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: change,
		// It passes on what it gets at once, where it does not hold it back on purpose.
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(func() {
		proxy.CloseClientConnections()
		proxy.Close()
	})
	return proxy.URL
}

// bufferingProxy passes an answer on when it has the whole of it, as nginx does by default, unless the answer asks for better.
func bufferingProxy(t testing.TB, frontend string) string {
	return proxyBefore(t, frontend, func(answer *http.Response) error {
		if answer.Header.Get("X-Accel-Buffering") == "no" {
			return nil
		}
		whole, err := io.ReadAll(answer.Body)
		answer.Body = io.NopCloser(bytes.NewReader(whole))
		return err
	})
}

// cuttingProxy breaks off the first answers, each after some bytes; cuts counts those.
func cuttingProxy(t testing.TB, frontend string, times int64) (proxy string, cuts *atomic.Int64) {
	cuts = &atomic.Int64{}
	return proxyBefore(t, frontend, func(answer *http.Response) error {
		if cuts.Load() < times {
			answer.Body = &cutBody{ReadCloser: answer.Body, left: 100 + rand.IntN(1500), cuts: cuts}
		}
		return nil
	}), cuts
}

type cutBody struct {
	io.ReadCloser
	left int
	cuts *atomic.Int64
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		b.cuts.Add(1)
		return 0, errors.New("the proxy breaks off")
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
