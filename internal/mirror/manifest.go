package mirror

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/mirror/origin"
)

// found is a manifest, and how it came.
type found struct {
	*capture
	// fetched: it came from the upstream now. stale: the upstream could not be asked whether the tag still means this; failure says why.
	fetched, stale bool
	failure        *origin.Failure
}

func (m *Mirror) serveManifest(w http.ResponseWriter, r *http.Request, name, ref string) {
	found, err := m.manifest(r.Context(), name, ref, r.Header)
	if err != nil {
		m.metrics.request("manifest", "error")
		m.fail(w, err, "MANIFEST_UNKNOWN")
		return
	}
	switch {
	case found.status >= http.StatusBadRequest:
		m.metrics.request("manifest", "error")
	case found.stale:
		m.metrics.request("manifest", "stale")
		m.logger.Info("served from the cache: the upstream can't be asked", log.String("image", name+":"+ref), log.Error(found.failure))
	default:
		m.metrics.request("manifest", result(!found.fetched))
	}
	found.send(w, r)
}

// manifest asks for a manifest once for all who want it at the same time.
func (m *Mirror) manifest(ctx context.Context, name, ref string, header http.Header) (*found, error) {
	accept := header.Values("Accept")
	key := strings.Join(append([]string{name, ref}, accept...), "\n")
	type outcome struct {
		found *found
		err   error
	}
	answers := make(chan outcome, 1)
	if !m.start(func() {
		value, err, _ := m.asking.Do(key, func() (any, error) {
			ctx, cancel := context.WithTimeout(m.ctx, askTimeout)
			defer cancel()
			return m.askManifest(ctx, name, ref, accept)
		})
		answer, _ := value.(*found)
		answers <- outcome{answer, err}
	}) {
		return nil, context.Canceled
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case answer := <-answers:
		return answer.found, answer.err
	}
}

// askManifest has the distribution answer, which asks the upstream for what a tag means now and takes what it knows when there is no answer.
// Content that isn't what its digest says is dropped and asked for once more.
func (m *Mirror) askManifest(ctx context.Context, name, ref string, accept []string) (*found, error) {
	for again := false; ; again = true {
		traced, trace := origin.WithTrace(ctx)
		request, err := http.NewRequestWithContext(traced, http.MethodGet, "/v2/"+name+"/manifests/"+ref, nil)
		if err != nil {
			return nil, err
		}
		request.Header["Accept"] = slices.Clone(accept)
		answer := newCapture(origin.MaxManifest)
		m.app.ServeHTTP(answer, request)
		failure := trace.Failure()
		if answer.status != http.StatusOK {
			if failure != nil {
				return nil, failure
			}
			if answer.status >= http.StatusInternalServerError {
				return nil, &origin.Failure{Kind: origin.Broken, Err: fmt.Errorf("manifest %s of %s can't be read: %s", ref, name, answer.body)}
			}
			return &found{capture: answer}, nil
		}
		d, err := digest.Parse(answer.header.Get("Docker-Content-Digest"))
		if err != nil {
			return nil, fmt.Errorf("manifest %s of %s: %w", ref, name, err)
		}
		whole, err := m.wholeManifest(ctx, d, answer.body)
		switch {
		case err != nil:
			return nil, err
		case whole && failure != nil && failure.Kind == origin.Missing:
			// The upstream was asked and has it no more; what is on the shelf is a memory.
			return nil, failure
		case whole:
			return &found{capture: answer, fetched: trace.Fetched(), stale: failure != nil, failure: failure}, nil
		case again:
			return nil, &origin.Failure{Kind: origin.Broken, Err: fmt.Errorf("manifest %s of %s: the upstream sent other content than %s", ref, name, d)}
		}
		if err := m.drop(d); err != nil {
			return nil, err
		}
	}
}

// wholeManifest says whether both what is about to be sent and what is on the shelf are what the digest says.
func (m *Mirror) wholeManifest(ctx context.Context, d digest.Digest, body []byte) (bool, error) {
	release := m.shelf.Hold(d)
	defer release()
	if d.Algorithm().FromBytes(body) != d {
		return false, nil
	}
	whole, err := m.shelf.Verify(ctx, d)
	if err != nil || !whole {
		return false, err
	}
	if err := m.shelf.Use(d); err != nil {
		m.logger.Warn("the use of a manifest can't be noted; it counts as older than it is", log.Error(err))
	}
	return true, nil
}
