package workspace

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/open-executor/executor/internal/api"
)

// gitProxy is a server on the loopback interface by which git reaches one repository at the frontend without knowing the
// credentials (spec section 4.2.1). It answers exactly two requests of the smart HTTP protocol, and only when they have both
// an unguessable path and an unguessable header. The header is what keeps the host's other users out: a path stands on the command
// line of git's HTTP helper, where everybody can read it.
type gitProxy struct {
	// address is "http://127.0.0.1:<port>/", path the unguessable part that follows it, "<text>/".
	address, path, secret string
	repository            string
	// upstream maps the method and request target of allowed requests to the frontend's address for it.
	upstream map[string]*url.URL
	headers  http.Header

	server  *http.Server
	reverse *httputil.ReverseProxy
	reasons reasons

	cancel context.CancelFunc
	idle   func()
	served chan struct{}
	// serving is held for reading by each request.
	serving sync.RWMutex
}

const secretHeader = "X-Executor-Git-Proxy"

// forwardedHeaders are all that the frontend gets of git's own headers.
var forwardedHeaders = []string{"Accept", "Accept-Encoding", "Accept-Language", "Content-Encoding", "Content-Type", "Git-Protocol", "Pragma", "User-Agent"}

// startProxy starts a proxy for the job's repository. It serves until Close; requests under way end with ctx.
func startProxy(ctx context.Context, job api.Job, options Options) (*gitProxy, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &gitProxy{
		address:    "http://" + listener.Addr().String() + "/",
		path:       rand.Text() + "/",
		secret:     rand.Text(),
		repository: (&url.URL{Path: job.RepositoryName}).EscapedPath(),
		headers:    upstreamHeaders(job, options),
		served:     make(chan struct{}),
		idle:       func() {},
	}
	// Without the slash, JoinPath makes a relative path of an address that has none.
	base := url.URL{Scheme: options.Frontend.Scheme, Host: options.Frontend.Host, Path: options.Frontend.Path + "/"}
	git := base.JoinPath(".executors", "git", p.repository)
	refs := git.JoinPath("info", "refs")
	refs.RawQuery = "service=git-upload-pack"
	target := "/" + p.path + p.repository
	p.upstream = map[string]*url.URL{
		"GET " + target + "/info/refs?" + refs.RawQuery: refs,
		"POST " + target + "/git-upload-pack":           git.JoinPath("git-upload-pack"),
	}

	transport := options.Transport
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		transport, p.idle = own, own.CloseIdleConnections
	}
	quiet := log.New(io.Discard, "", 0)
	p.reverse = &httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		Transport:      transport,
		FlushInterval:  -1,
		ModifyResponse: p.reasons.inspect,
		ErrorHandler:   p.reasons.unreachable,
		ErrorLog:       quiet,
	}
	ctx, p.cancel = context.WithCancel(ctx)
	p.server = &http.Server{
		Handler:           p,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          quiet,
	}
	go func() {
		defer close(p.served)
		// It ends with Close.
		_ = p.server.Serve(listener)
	}()
	return p, nil
}

// upstreamHeaders are what the frontend wants of a job's git requests.
func upstreamHeaders(job api.Job, options Options) http.Header {
	authorization := "Bearer " + job.Token
	if job.Token == "" {
		authorization = "token-executor " + options.Password
	}
	headers := http.Header{}
	headers.Set("Authorization", authorization)
	headers.Set("X-Sourcegraph-Actor-UID", "internal")
	headers.Set("X-Sourcegraph-Job-ID", strconv.FormatInt(job.ID, 10))
	headers.Set("X-Sourcegraph-Executor-Name", options.ExecutorName)
	return headers
}

// publicURL is the repository's address for command lines and logs. Git replaces its beginning as gitConfig says.
func (p *gitProxy) publicURL() string { return p.address + p.repository }

// gitConfig is the configuration with which git gets through.
func (p *gitProxy) gitConfig() [][2]string {
	return [][2]string{
		{"url." + p.address + p.path + ".insteadOf", p.address},
		{"http." + p.address + ".extraHeader", secretHeader + ": " + p.secret},
	}
}

// ServeHTTP forwards what is allowed and answers 403 to everything else.
func (p *gitProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.serving.RLock()
	defer p.serving.RUnlock()
	known := subtle.ConstantTimeCompare([]byte(r.Header.Get(secretHeader)), []byte(p.secret)) == 1
	if !known || p.upstream[target(r)] == nil {
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	p.reasons.knock()
	p.reverse.ServeHTTP(w, r)
}

func target(r *http.Request) string { return r.Method + " " + r.RequestURI }

func (p *gitProxy) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL = p.upstream[target(r.In)]
	r.Out.Host = r.Out.URL.Host
	r.Out.Header = p.headers.Clone()
	for _, name := range forwardedHeaders {
		if values := r.In.Header.Values(name); len(values) > 0 {
			r.Out.Header[name] = values
		}
	}
}

// failure says why git got no good answer, as far as the proxy knows; empty when it doesn't.
func (p *gitProxy) failure() string { return p.reasons.last() }

// Close ends all requests and connections and returns when nothing of the proxy runs any more.
func (p *gitProxy) Close() {
	p.cancel()
	_ = p.server.Close()
	<-p.served
	p.serving.Lock()
	defer p.serving.Unlock()
	p.idle()
}
