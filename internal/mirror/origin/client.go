// Package origin asks one upstream registry, for reading only: with its credentials, with a bound on every wait and every body, and with a
// pause after failures, so that an upstream that is away costs one wait and not one per request.
package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
)

// Config is what a Client needs to know. Zero values of the bounds take the defaults.
type Config struct {
	// URL is the registry's root, such as https://registry-1.docker.io.
	URL *url.URL
	// Credentials returns the user and password, both empty for none. It is asked whenever the upstream wants to know, so that they can be
	// changed while the process runs. Nil means none.
	Credentials func() (user, password string, err error)
	// HeaderTimeout is how long an answer's beginning may take, IdleTimeout how long its body may stand still.
	HeaderTimeout, IdleTimeout time.Duration
	// MaxBlob bounds a blob, in bytes.
	MaxBlob int64
	// Now is the clock, time.Now when nil.
	Now func() time.Time
	// Observe is told of every answer or failure of the upstream by its kind. It must not block.
	Observe func(Kind)
	// Received is told of every piece of a body, in bytes. It must not block.
	Received func(int64)
}

const (
	defaultHeaderTimeout = 15 * time.Second
	defaultIdleTimeout   = time.Minute
	// MaxManifest bounds a manifest or another document, in bytes: the size that registries must accept (OCI distribution spec 1.1).
	MaxManifest    = 4 << 20
	defaultMaxBlob = 64 << 30
	dialTimeout    = 10 * time.Second
	maxRedirects   = 5
)

// Client is safe for concurrent use.
type Client struct {
	config Config
	http   *http.Client
	pause  pause
	tokens tokens
}

// New asks nobody yet: a mirror also starts while its upstream is away.
func New(config Config) *Client {
	if config.HeaderTimeout == 0 {
		config.HeaderTimeout = defaultHeaderTimeout
	}
	if config.IdleTimeout == 0 {
		config.IdleTimeout = defaultIdleTimeout
	}
	if config.MaxBlob == 0 {
		config.MaxBlob = defaultMaxBlob
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Observe == nil {
		config.Observe = func(Kind) {}
	}
	if config.Received == nil {
		config.Received = func(int64) {}
	}
	if config.Credentials == nil {
		config.Credentials = func() (string, string, error) { return "", "", nil }
	}
	dialer := &net.Dialer{Timeout: dialTimeout, ControlContext: refuseLinkLocal}
	return &Client{
		config: config,
		http: &http.Client{
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				DialContext:            dialer.DialContext,
				TLSHandshakeTimeout:    dialTimeout,
				ResponseHeaderTimeout:  config.HeaderTimeout,
				IdleConnTimeout:        time.Minute,
				MaxIdleConnsPerHost:    16,
				MaxResponseHeaderBytes: 64 << 10,
				ForceAttemptHTTP2:      true,
				DisableCompression:     true,
			},
			CheckRedirect: checkRedirect,
		},
		tokens: tokens{kept: make(map[string]token)},
	}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// RoundTrip carries a request for a path of the registry's API to the upstream and follows redirects itself. GET of /v2/ is answered here:
// it tells the caller that no credentials are wanted of it. The request's context may carry a Trace.
func (c *Client) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodGet && request.Method != http.MethodHead {
		return nil, fmt.Errorf("%s %s: a mirror only reads", request.Method, request.URL.Path)
	}
	if request.URL.Path == "/v2/" {
		return &http.Response{
			StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Docker-Distribution-Api-Version": {"registry/2.0"}}, Body: http.NoBody, Request: request,
		}, nil
	}
	trace := traceOf(request.Context())
	if failure := c.pause.current(c.config.Now()); failure != nil {
		trace.add(failure)
		return nil, failure
	}
	response, err := c.ask(request)
	failure := classify(response, err, c.config.Now())
	if failure == nil {
		c.config.Observe(Answered)
		trace.answered(request.Method)
		return response, nil
	}
	c.config.Observe(failure.Kind)
	trace.add(failure)
	// A request that its sender gave up says nothing of the upstream.
	if request.Context().Err() == nil {
		c.pause.after(failure, c.config.Now())
	}
	if response == nil {
		return nil, failure
	}
	return response, nil
}

// ask sends the request with the authorization that is known, and once more when the upstream wants another.
func (c *Client) ask(request *http.Request) (*http.Response, error) {
	scope := scopeOf(request.URL.Path)
	authorization := c.tokens.known(scope, c.config.Now())
	response, err := c.send(request, authorization)
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	fresh, err := c.authorize(request.Context(), response.Header.Values("WWW-Authenticate"), scope)
	if err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	if fresh == "" || fresh == authorization {
		return response, nil
	}
	_ = response.Body.Close()
	return c.send(request, fresh)
}

func (c *Client) send(request *http.Request, authorization string) (*http.Response, error) {
	ctx, cancel := context.WithCancel(request.Context())
	target := *c.config.URL
	target.Path = path.Join("/", target.Path, request.URL.Path)
	target.RawQuery = request.URL.RawQuery
	outgoing, err := http.NewRequestWithContext(ctx, request.Method, target.String(), nil)
	if err != nil {
		cancel()
		return nil, err
	}
	for _, name := range []string{"Accept", "Range"} {
		outgoing.Header[name] = request.Header.Values(name)
	}
	outgoing.Header.Set("User-Agent", "registry-mirror")
	if authorization != "" {
		outgoing.Header.Set("Authorization", authorization)
	}
	response, err := c.http.Do(outgoing)
	if err != nil {
		cancel()
		return nil, err
	}
	limit := int64(MaxManifest)
	if strings.Contains(request.URL.Path, "/blobs/") && response.StatusCode < 300 {
		limit = c.config.MaxBlob
	}
	if response.ContentLength > limit {
		cancel()
		_ = response.Body.Close()
		return nil, &Failure{Kind: Broken, Err: fmt.Errorf("%s is %d bytes, more than the %d that are allowed", request.URL.Path, response.ContentLength, limit)}
	}
	if kind := response.Header.Get("Content-Type"); response.StatusCode < 300 && strings.Contains(request.URL.Path, "/manifests/") && !strings.HasPrefix(kind, "application/vnd.") {
		// A page of a proxy or a portal must not become what a tag means.
		cancel()
		_ = response.Body.Close()
		return nil, &Failure{Kind: Broken, Err: fmt.Errorf("%s is of type %q, which is no manifest's", request.URL.Path, kind)}
	}
	body := &body{
		ReadCloser: response.Body, left: limit, idle: c.config.IdleTimeout, cancel: cancel, received: c.config.Received,
		failed: func(err error) {
			c.config.Observe(Broken)
			traceOf(request.Context()).add(&Failure{Kind: Broken, Err: err})
		},
	}
	body.timer = time.AfterFunc(body.idle, cancel)
	response.Body = body
	response.Request = request
	return response, nil
}

func checkRedirect(request *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case first.Scheme == "https" && request.URL.Scheme != "https":
		return errors.New("the upstream redirects from https to " + request.URL.Scheme)
	case request.URL.Host != first.Host:
		// A token is for the registry, not for where it keeps its blobs.
		request.Header.Del("Authorization")
	}
	return nil
}

// body bounds an upstream's answer in size and in how long it may stand still.
type body struct {
	io.ReadCloser
	left     int64
	idle     time.Duration
	timer    *time.Timer
	cancel   context.CancelFunc
	received func(int64)
	failed   func(error)
	once     sync.Once
}

func (b *body) Read(buffer []byte) (int, error) {
	b.timer.Reset(b.idle)
	n, err := b.ReadCloser.Read(buffer)
	b.received(int64(n))
	if b.left -= int64(n); b.left < 0 {
		err = errors.New("the upstream sends more than is allowed")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.once.Do(func() { b.failed(err) })
	}
	return n, err
}

func (b *body) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel()
	return err
}
