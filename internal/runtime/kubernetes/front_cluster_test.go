//go:build cluster

package kubernetes

import (
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// front is a way to the API server whose connections can be cut.
type front struct {
	net.Listener
	url string

	mu sync.Mutex
	// closed lets nobody in.
	closed bool
	// conns are all, also those that are no longer HTTP's (RFC 6455, "Upgrade").
	conns []net.Conn
}

func newFront(t testing.TB, config *rest.Config) *front {
	t.Helper()
	target, err := url.Parse(config.Host)
	require.NoError(t, err)
	secure, err := rest.TLSConfigFor(config)
	require.NoError(t, err)
	secure.NextProtos = []string{"http/1.1"}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	behind := &http.Transport{TLSClientConfig: secure}
	t.Cleanup(behind.CloseIdleConnections)
	proxy.Transport = behind
	proxy.ErrorLog = stdlog.New(io.Discard, "", 0) // it would tell of each cut
	server := httptest.NewUnstartedServer(proxy)
	f := &front{Listener: server.Listener}
	server.Listener = f
	server.Start()
	f.url = server.URL
	t.Cleanup(func() {
		f.cut()
		server.Close()
	})
	return f
}

// behindFront is an executor whose only way to the API server is a front.
func (s *site) behindFront(t testing.TB, adjust func(*Options)) (*executor, *front) {
	t.Helper()
	f := newFront(t, s.config)
	behind := *s
	behind.config = &rest.Config{Host: f.url, QPS: 200, Burst: 400}
	return behind.executor(t, adjust), f
}

// Accept implements net.Listener.
func (f *front) Accept() (net.Conn, error) {
	conn, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		_ = conn.Close()
	}
	f.conns = append(f.conns, conn)
	return conn, nil
}

// cut ends all connections.
func (f *front) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range f.conns {
		_ = conn.Close()
	}
	f.conns = nil
}

// let lets connections in, or cuts all and lets none in.
func (f *front) let(in bool) {
	f.mu.Lock()
	f.closed = !in
	f.mu.Unlock()
	if !in {
		f.cut()
	}
}
