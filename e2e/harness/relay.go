package harness

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Relay stands before a server and passes requests on while it is open. Closed, it refuses connections, as a server does that
// is down.
type Relay struct {
	// URL is the relay's own, with its path.
	URL string

	t       testing.TB
	address string
	handler http.Handler
	server  *http.Server
}

// NewRelay makes a relay to a server; it is closed at first. Requests have to begin with path, "/sub/path" or "", which the
// server doesn't see; others are answered 404. Watch, when not nil, sees each request before it is passed on.
func NewRelay(t testing.TB, target, path string, watch func(*http.Request)) *Relay {
	t.Helper()
	server, err := url.Parse(target)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(server) },
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	relay := &Relay{t: t, address: "127.0.0.1:0", handler: http.StripPrefix(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if watch != nil {
			watch(r)
		}
		proxy.ServeHTTP(w, r)
	}))}
	// The address is found out once and kept.
	listener := relay.listen()
	relay.address = listener.Addr().String()
	require.NoError(t, listener.Close())
	relay.URL = "http://" + relay.address + path
	t.Cleanup(relay.Close)
	return relay
}

// Open begins to pass requests on.
func (r *Relay) Open() {
	r.t.Helper()
	r.server = &http.Server{Handler: r.handler, ReadHeaderTimeout: time.Minute}
	listener := r.listen()
	go func(server *http.Server) { _ = server.Serve(listener) }(r.server)
}

// Close ends all connections and refuses new ones.
func (r *Relay) Close() {
	if r.server != nil {
		_ = r.server.Close()
		r.server = nil
	}
}

func (r *Relay) listen() net.Listener {
	r.t.Helper()
	listener, err := net.Listen("tcp", r.address)
	require.NoError(r.t, err)
	return listener
}
