package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/mirror/origin"
)

// stalled is how long a client may take no byte of its answer.
const stalled = time.Minute

// ServeHTTP answers /v2/, manifests and blobs, by GET and HEAD.
func (m *Mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client := &counted{ResponseWriter: w, control: http.NewResponseController(w)}
	client.extend()
	w = client
	r.Body = http.NoBody // nothing is wanted of it
	kind, name, ref := split(r.URL.Path)
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "this is a mirror: it only serves pulls")
	case kind == base:
		m.app.ServeHTTP(w, r)
	case kind == unknown:
		refuse(w, http.StatusNotFound, "UNSUPPORTED", "this is a mirror: it serves /v2/<name>/manifests/<reference> and /v2/<name>/blobs/<digest>")
	case !validName(name):
		refuse(w, http.StatusBadRequest, "NAME_INVALID", "invalid repository name")
	case kind == manifest:
		m.serveManifest(w, r, name, ref)
	default:
		m.serveBlob(w, r, name, ref)
	}
	m.metrics.servedBytes(client.bytes)
}

// what a path asks for.
type what int

const (
	unknown what = iota
	base
	manifest
	blob
)

// split takes a path of the API apart.
func split(path string) (kind what, name, ref string) {
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return unknown, "", ""
	}
	if rest == "" {
		return base, "", ""
	}
	for part, kind := range map[string]what{"/manifests/": manifest, "/blobs/": blob} {
		if at := strings.LastIndex(rest, part); at > 0 {
			if ref := rest[at+len(part):]; ref != "" && !strings.Contains(ref, "/") {
				return kind, rest[:at], ref
			}
		}
	}
	return unknown, "", ""
}

// validName holds names to the distribution's grammar, which has no "..", no "_layers" and no empty part.
func validName(name string) bool {
	_, err := reference.WithName(name)
	return err == nil && !strings.Contains(name, ":")
}

func (m *Mirror) serveBlob(w http.ResponseWriter, r *http.Request, name, ref string) {
	d, err := digest.Parse(ref)
	if err != nil {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "invalid digest")
		return
	}
	if r.Method == http.MethodHead && !m.shelf.Has(name, d) {
		m.askBlob(w, r)
		return
	}
	release := m.shelf.Hold(d)
	defer release()
	hit, err := m.ensure(r.Context(), name, d)
	if err != nil {
		m.metrics.request("blob", "error")
		m.fail(w, err, "BLOB_UNKNOWN")
		return
	}
	if err := m.shelf.Use(d); err != nil {
		m.logger.Warn("the use of a blob can't be noted; it counts as older than it is", log.Error(err))
	}
	m.metrics.request("blob", result(hit))
	m.app.ServeHTTP(w, r)
}

// askBlob answers whether the upstream has a blob without fetching it.
func (m *Mirror) askBlob(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	ctx, trace := origin.WithTrace(ctx)
	answer := newCapture(0)
	m.app.ServeHTTP(answer, r.WithContext(ctx))
	if failure := trace.Failure(); answer.status != http.StatusOK && failure != nil {
		m.fail(w, failure, "BLOB_UNKNOWN")
		return
	}
	answer.send(w, r)
}

func result(hit bool) string {
	if hit {
		return "hit"
	}
	return "miss"
}

// fail answers with what is wrong with the upstream, in terms that make clients try again or go to the upstream themselves.
func (m *Mirror) fail(w http.ResponseWriter, err error, missing string) {
	var failure *origin.Failure
	if !errors.As(err, &failure) {
		if !errors.Is(err, context.Canceled) {
			m.logger.Error("a request can't be answered", log.Error(err))
		}
		refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", "the mirror can't serve this now")
		return
	}
	if failure.Kind != origin.Missing {
		m.logger.Warn("a pull can't be served", log.Error(failure))
	}
	if failure.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((failure.RetryAfter+time.Second-1)/time.Second)))
	}
	switch failure.Kind {
	case origin.Missing:
		refuse(w, http.StatusNotFound, missing, "the upstream registry doesn't have this")
	case origin.Denied:
		refuse(w, http.StatusForbidden, "DENIED", "the upstream registry does not let this mirror have this")
	case origin.Throttled:
		refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS", "the upstream registry throttles this mirror")
	case origin.TimedOut:
		refuse(w, http.StatusGatewayTimeout, "UNAVAILABLE", "the upstream registry doesn't answer, and this isn't in the cache")
	default:
		refuse(w, http.StatusBadGateway, "UNAVAILABLE", "the upstream registry can't be reached or fails, and this isn't in the cache")
	}
}

// refuse answers in the registry API's form of errors.
func refuse(w http.ResponseWriter, status int, code, message string) {
	type problem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that is gone has no use for the rest.
	_ = json.NewEncoder(w).Encode(map[string][]problem{"errors": {{code, message}}})
}

// counted counts an answer's bytes and gives the client a new deadline with each piece.
type counted struct {
	http.ResponseWriter
	control *http.ResponseController
	bytes   int64
}

func (c *counted) extend() {
	// Writers without deadlines are those of our own probes.
	_ = c.control.SetWriteDeadline(time.Now().Add(stalled))
}

func (c *counted) WriteHeader(status int) {
	c.extend()
	c.ResponseWriter.WriteHeader(status)
}

func (c *counted) Write(p []byte) (int, error) {
	c.extend()
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	return n, err
}

// capture holds an answer of up to limit bytes; a longer one is an error. With limit 0 it takes any length and keeps none of it.
type capture struct {
	header http.Header
	status int
	limit  int
	body   []byte
}

func newCapture(limit int) *capture { return &capture{header: make(http.Header), limit: limit} }

func (c *capture) Header() http.Header { return c.header }

func (c *capture) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
}

func (c *capture) Write(p []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	if c.limit > 0 {
		if len(c.body)+len(p) > c.limit {
			return 0, fmt.Errorf("the answer is longer than %d bytes", c.limit)
		}
		c.body = append(c.body, p...)
	}
	return len(p), nil
}

func (c *capture) send(w http.ResponseWriter, r *http.Request) {
	for name, values := range c.header {
		w.Header()[name] = values
	}
	w.WriteHeader(c.status)
	if r.Method == http.MethodGet {
		_, _ = w.Write(c.body) // a client that is gone has no use for the rest
	}
}
