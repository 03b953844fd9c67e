package queueclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/metrics"
)

// Bounds of what is read of an answer. A job carries its files.
const (
	maxJobBytes       = 64 << 20
	maxHeartbeatBytes = 4 << 20
	maxSmallBytes     = 64 << 10
)

// call is one request.
type call struct {
	// op names the call in metrics; empty for calls that are not metered.
	op  string
	red *metrics.RED
	// what names the call in errors.
	what   string
	method string
	// path are the segments below the endpoint, not yet escaped.
	path []string
	// job is set for calls that a job's token authorises.
	job *api.Job
	// leased is set when the frontend answers only while the job is this executor's.
	leased bool
	// body is sent as JSON; nil sends none.
	body    any
	header  http.Header
	timeout time.Duration
	limit   int64
}

// answer is a response that the call has a use for: 200 with a body, or 204.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// exchange makes a request and reads its whole answer.
func (c *Client) exchange(ctx context.Context, call call) (got answer, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, call.timeout, fmt.Errorf("no answer within %s: %w", call.timeout, context.DeadlineExceeded))
	defer cancel()
	defer c.meter(call)(&err)
	response, err := c.send(ctx, call)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := readAll(response.Body, call.limit)
	if err != nil {
		return answer{}, fault.As(fault.Infrastructure, fmt.Errorf("%s: reading the answer: %w", call.what, &transportError{err, true}))
	}
	return answer{response.StatusCode, response.Header, body}, nil
}

// send makes a request and returns a response of status 200 or 204, whose body the caller closes.
func (c *Client) send(ctx context.Context, call call) (*http.Response, error) {
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	request, err := c.request(ctx, call)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", call.what, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fault.As(fault.Infrastructure, fmt.Errorf("%s: %w", call.what, &transportError{err, sent.Load()}))
	}
	if response.StatusCode == http.StatusOK || response.StatusCode == http.StatusNoContent {
		return response, nil
	}
	defer response.Body.Close()
	// What can't be read of an explanation changes nothing about the status.
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxSmallBytes))
	return nil, fmt.Errorf("%s: %w", call.what, c.refusal(call, response, body))
}

func (c *Client) request(ctx context.Context, call call) (*http.Request, error) {
	target, err := c.target(call.path)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if call.body != nil {
		encoded, err := json.Marshal(call.body)
		if err != nil {
			return nil, fault.As(fault.User, err)
		}
		body = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, call.method, target.String(), body)
	if err != nil {
		return nil, err
	}
	for name, values := range call.header {
		request.Header[name] = values
	}
	request.Header.Set("Content-Type", "application/json")
	// The reference sends no user agent; an empty one keeps net/http from adding its own.
	request.Header.Set("User-Agent", "")
	request.Header.Set("Authorization", "token-executor "+c.config.Token)
	if call.job != nil {
		if call.job.Token != "" {
			request.Header.Set("Authorization", "Bearer "+call.job.Token)
		}
		request.Header.Set("X-Sourcegraph-Job-ID", strconv.FormatInt(call.job.ID, 10))
		request.Header.Set("X-Sourcegraph-Executor-Name", c.config.ExecutorName)
	}
	return request, nil
}

// target builds a URL below the endpoint. Segments come in part from the frontend: each stays one segment whatever it holds.
func (c *Client) target(segments []string) (*url.URL, error) {
	escaped := slices.Clone(segments)
	for i, segment := range segments {
		if segment == "" || segment == "." || segment == ".." {
			return nil, fault.Userf("%q is no path below the frontend", strings.Join(segments, "/"))
		}
		escaped[i] = url.PathEscape(segment)
	}
	return c.config.Endpoint.JoinPath(escaped...), nil
}

// meter starts to measure a call and returns how to end that.
func (c *Client) meter(call call) func(*error) {
	if call.op == "" {
		return func(*error) {}
	}
	end := call.red.Start(call.op)
	return func(err *error) { end(*err) }
}

// readAll reads up to limit bytes; more are an error.
func readAll(body io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it is longer than %d bytes", limit)
	}
	return data, nil
}

const maxRedirects = 5

// checkRedirect follows a redirect only when the request stays the same and goes to the same host, or to https there: net/http would
// send our headers to any host, and turn a POST into a GET.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0]
	sameHost := next.URL.Host == first.URL.Host && next.URL.Scheme == first.URL.Scheme
	upgrade := next.URL.Hostname() == first.URL.Hostname() && first.URL.Scheme == "http" && next.URL.Scheme == "https"
	if len(via) > maxRedirects || next.Method != first.Method || !sameHost && !upgrade {
		return http.ErrUseLastResponse
	}
	return nil
}
