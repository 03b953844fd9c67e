package frontendtest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
)

// Request is a request as the frontend got it.
type Request struct {
	Method string
	// Path is escaped, with the query.
	Path   string
	Header http.Header
	// Body holds the first mebibyte.
	Body []byte
}

// Decode reads the body as JSON.
func (r Request) Decode(value any) error { return json.Unmarshal(r.Body, value) }

const maxKeptBody = 1 << 20

// Special statuses for FailNext.
const (
	// Drop closes the connection without doing what the request asks for.
	Drop = -1
	// DropAnswer does what the request asks for and closes the connection in place of the answer.
	DropAnswer = -2
)

type failure struct {
	suffix string
	status int
	times  int
}

// FailNext makes the next requests whose path ends in pathSuffix fail, so many times: with a status, or with Drop or DropAnswer. The
// frontend does nothing else with a request that fails with a status. Calls for one suffix add up in their order.
func (f *Frontend) FailNext(pathSuffix string, status, times int) {
	f.change(func() { f.failures = append(f.failures, &failure{pathSuffix, status, times}) })
}

// Requests returns all requests so far in the order of their arrival.
func (f *Frontend) Requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

// Await waits until a request has arrived that match holds for, and returns the first such one.
func (f *Frontend) Await(ctx context.Context, match func(Request) bool) (Request, error) {
	var found Request
	err := f.wait(ctx, func() bool {
		at := slices.IndexFunc(f.requests, match)
		if at >= 0 {
			found = f.requests[at]
		}
		return at >= 0
	})
	return found, err
}

// recorded keeps each request before it is handled and makes those fail that the test chose.
func (f *Frontend) recorded(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength, r.TransferEncoding = int64(len(body)), nil
		var status int
		f.change(func() {
			f.requests = append(f.requests, Request{
				Method: r.Method,
				Path:   r.URL.RequestURI(),
				Header: r.Header.Clone(),
				Body:   slices.Clone(body[:min(len(body), maxKeptBody)]),
			})
			status = f.failureOf(r.URL.Path)
		})
		switch status {
		case 0:
			handler.ServeHTTP(w, r)
		case Drop:
			panic(http.ErrAbortHandler)
		case DropAnswer:
			handler.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		default:
			http.Error(w, "a failure that the test wants", status)
		}
	})
}

// failureOf returns how a request is to fail, 0 for not at all.
func (f *Frontend) failureOf(path string) int {
	for _, failure := range f.failures {
		if failure.times > 0 && strings.HasSuffix(path, failure.suffix) {
			failure.times--
			return failure.status
		}
	}
	return 0
}
