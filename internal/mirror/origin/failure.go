package origin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kind says how an upstream answered.
type Kind string

// The kinds. All but Answered are failures.
const (
	Answered Kind = "answered"
	// Connect: no connection; TimedOut: no answer in time; Broken: the answer ended too early.
	Connect  Kind = "connect"
	TimedOut Kind = "timeout"
	Broken   Kind = "broken"
	// Throttled: status 429; Server: 5xx; Denied: 401 or 403; Missing: 404.
	Throttled Kind = "throttled"
	Server    Kind = "server"
	Denied    Kind = "denied"
	Missing   Kind = "missing"
)

// Kinds are all kinds of failures.
var Kinds = []Kind{Connect, TimedOut, Broken, Throttled, Server, Denied, Missing}

// Failure is an upstream's refusal, or why there is no answer.
type Failure struct {
	Kind Kind
	// RetryAfter is how long the upstream wants to be left alone, 0 when it doesn't say.
	RetryAfter time.Duration
	Err        error
}

func (f *Failure) Error() string { return fmt.Sprintf("upstream registry (%s): %v", f.Kind, f.Err) }
func (f *Failure) Unwrap() error { return f.Err }

// Final says that the upstream itself has answered, and that asking again changes nothing.
func (f *Failure) Final() bool { return f.Kind == Missing || f.Kind == Denied }

func classify(response *http.Response, err error, now time.Time) *Failure {
	if err != nil {
		var failure *Failure
		if errors.As(err, &failure) {
			return failure
		}
		err = withoutQuery(err)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return &Failure{Kind: TimedOut, Err: err}
		}
		return &Failure{Kind: Connect, Err: err}
	}
	failure := &Failure{Err: errors.New("status " + response.Status)}
	switch status := response.StatusCode; {
	case status < 400:
		return nil
	case status == http.StatusTooManyRequests:
		failure.Kind, failure.RetryAfter = Throttled, retryAfter(response.Header.Get("Retry-After"), now)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		failure.Kind = Denied
	case status >= 500:
		failure.Kind, failure.RetryAfter = Server, retryAfter(response.Header.Get("Retry-After"), now)
	default:
		failure.Kind = Missing
	}
	return failure
}

// withoutQuery takes the query out of the URL that an error tells: the address that a registry redirects to is often signed there.
func withoutQuery(err error) error {
	var told *url.Error
	if !errors.As(err, &told) {
		return err
	}
	address, _, _ := strings.Cut(told.URL, "?")
	return &url.Error{Op: told.Op, URL: address, Err: told.Err}
}

// retryAfter reads the header's seconds or date (RFC 9110, 10.2.3).
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

const (
	// shortPause is how long nobody asks an upstream that can't be reached.
	shortPause = 5 * time.Second
	// throttledPause is for an upstream that throttles without saying for how long; maxPause bounds what it says.
	throttledPause = 30 * time.Second
	maxPause       = 5 * time.Minute
)

// pause is the time in which the upstream is left alone.
type pause struct {
	mu      sync.Mutex
	until   time.Time
	failure *Failure
}

func (p *pause) after(failure *Failure, now time.Time) {
	length := failure.RetryAfter
	switch failure.Kind {
	case Connect, TimedOut:
		length = shortPause
	case Throttled:
		if length == 0 {
			length = throttledPause
		}
	case Server: // only when it says so
	default:
		return
	}
	if length == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until, p.failure = now.Add(min(length, maxPause)), failure
}

// current returns why the upstream is left alone now, nil when it isn't.
func (p *pause) current(now time.Time) *Failure {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure == nil || !now.Before(p.until) {
		return nil
	}
	return &Failure{Kind: p.failure.Kind, RetryAfter: p.until.Sub(now), Err: fmt.Errorf("left alone for %s: %w", p.until.Sub(now).Round(time.Second), p.failure.Err)}
}

// Trace is what one request learned of the upstream. Safe for concurrent use.
type Trace struct {
	mu      sync.Mutex
	fetched bool
	failure *Failure
}

type traceKey struct{}

// WithTrace returns a context whose requests are noted in the trace.
func WithTrace(ctx context.Context) (context.Context, *Trace) {
	trace := new(Trace)
	return context.WithValue(ctx, traceKey{}, trace), trace
}

func traceOf(ctx context.Context) *Trace {
	trace, _ := ctx.Value(traceKey{}).(*Trace)
	return trace
}

func (t *Trace) add(failure *Failure) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failure = failure
}

// answered notes an answer that was no failure, which outdates failures before it.
func (t *Trace) answered(method string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fetched = t.fetched || method == http.MethodGet
	t.failure = nil
}

// Fetched says whether content came from the upstream, and not only an answer about it.
func (t *Trace) Fetched() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fetched
}

// Failure is what the upstream's last answer was, nil when that was no failure or there was none.
func (t *Trace) Failure() *Failure {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failure
}
