package gitproxy

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// link is the connection to a git client: a stream each way, neither of which may stall for longer than idle. Reading and writing
// may happen at the same time.
type link struct {
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	idle    time.Duration

	// started is set once the answer has begun, and its status can't be changed any more.
	started bool
	// drained is set once the request's body has been read to its end.
	drained atomic.Bool
}

func newLink(w http.ResponseWriter, r *http.Request, idle time.Duration) *link {
	return &link{w: w, r: r, control: http.NewResponseController(w), idle: idle}
}

// release gives the connection back to the server. A body that was not read to its end is not worth waiting for.
func (l *link) release() {
	if !l.drained.Load() && l.r.ContentLength != 0 {
		l.stopReading()
	}
	_ = l.control.SetWriteDeadline(time.Time{})
}

// stopReading makes a Read of the body that waits for the client return.
func (l *link) stopReading() { _ = l.control.SetReadDeadline(time.Now()) }

// Write sends a piece of the answer at once.
func (l *link) Write(p []byte) (int, error) {
	l.started = true
	_ = l.control.SetWriteDeadline(time.Now().Add(l.idle))
	n, err := l.w.Write(p)
	if err == nil {
		// Writers that can't flush don't hold back either.
		_ = l.control.Flush()
	}
	return n, err
}

// raw is the body as it comes, bounded.
func (l *link) raw(limit int64) io.ReadCloser {
	return http.MaxBytesReader(l.w, &idleBody{l}, limit)
}

// plain is the body unpacked, bounded packed and unpacked.
func (l *link) plain(limit int64) (io.ReadCloser, error) {
	body := l.raw(limit)
	switch encoding := l.r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return nil, fmt.Errorf("unpacking the request: %w", err)
		}
		return http.MaxBytesReader(nil, unpacked, limit), nil
	default:
		return nil, errEncoding
	}
}

// idleBody reads the request's body with a new deadline for each piece.
type idleBody struct{ *link }

func (b *idleBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.idle))
	n, err := b.r.Body.Read(p)
	if err == io.EOF {
		b.drained.Store(true)
		// From here on the server itself reads, to notice when the client goes away; that has no deadline.
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

func (b *idleBody) Close() error { return b.r.Body.Close() }
