package mirror

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/opencontainers/go-digest"

	"github.com/open-executor/executor/internal/mirror/origin"
)

// flight is one making ready of a blob that any number of requests wait for.
type flight struct {
	name string
	done chan struct{}
	err  error
}

// ensure sees to it that a repository's blob is on the shelf and whole, and says whether it already was. Whoever asks first has it fetched
// to its end, whether or not they wait for it; nobody is served a byte before its digest is right. A client that reads slowly thus never
// holds up another's, and one that comes back finds what was fetched meanwhile.
func (m *Mirror) ensure(ctx context.Context, name string, d digest.Digest) (hit bool, err error) {
	hit = true
	for {
		if m.shelf.Has(name, d) && m.shelf.Proven(d) {
			return hit, nil
		}
		current, err := m.join(name, d, &hit)
		if err != nil {
			return false, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-current.done:
		}
		if current.err != nil && current.name == name {
			return false, current.err
		}
	}
}

// join returns the flight of a blob, a new one when there is none.
func (m *Mirror) join(name string, d digest.Digest, hit *bool) (*flight, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	current := m.flights[d]
	if current == nil {
		if m.closed {
			return nil, errors.New("the mirror is stopping")
		}
		current = &flight{name: name, done: make(chan struct{})}
		m.flights[d] = current
		m.running.Go(func() {
			current.err = m.prepare(name, d)
			m.mu.Lock()
			delete(m.flights, d)
			m.mu.Unlock()
			close(current.done)
		})
	}
	*hit = *hit && m.shelf.Has(name, d)
	return current, nil
}

// prepare checks what is there, and fetches what isn't or is damaged.
func (m *Mirror) prepare(name string, d digest.Digest) error {
	ctx, cancel := context.WithTimeout(m.ctx, fetchTimeout)
	defer cancel()
	release := m.shelf.Hold(d)
	defer release()
	if m.shelf.Has(name, d) {
		whole, err := m.shelf.Verify(ctx, d)
		if err != nil || whole {
			return err
		}
		if err := m.drop(d); err != nil {
			return err
		}
	}
	select {
	case m.fetches <- struct{}{}:
		defer func() { <-m.fetches }()
	case <-ctx.Done():
		return ctx.Err()
	}
	m.mu.Lock()
	m.writing[name]++
	m.mu.Unlock()
	err := m.fetch(ctx, name, d)
	select {
	case m.fetched <- struct{}{}:
	default:
	}
	return errors.Join(err, m.written(name))
}

// written ends a fetch. The distribution leaves an upload of wrong content behind; when nobody writes to a repository, its uploads are such.
func (m *Mirror) written(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.writing[name]--; m.writing[name] > 0 {
		return nil
	}
	delete(m.writing, name)
	return m.shelf.ClearUploads(name)
}

// fetch has the distribution pull the blob through.
func (m *Mirror) fetch(ctx context.Context, name string, d digest.Digest) error {
	ctx, trace := origin.WithTrace(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "/v2/"+name+"/blobs/"+d.String(), nil)
	if err != nil {
		return err
	}
	answer := newCapture(0)
	m.app.ServeHTTP(answer, request)
	if !m.shelf.Has(name, d) {
		if failure := trace.Failure(); failure != nil {
			return failure
		}
		return &origin.Failure{Kind: origin.Broken, Err: fmt.Errorf("blob %s of %s was not stored (status %d): the upstream sent other content, or the disk is full", d, name, answer.status)}
	}
	whole, err := m.shelf.Verify(ctx, d)
	if err != nil || whole {
		return err
	}
	return errors.Join(&origin.Failure{Kind: origin.Broken, Err: fmt.Errorf("blob %s of %s: the upstream sent other content", d, name)}, m.drop(d))
}
