// Package apiclient is a client of the jobs API. It never repeats a request that changes something; reading a log survives cuts
// of the connection without holes or repeats.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/fault"
)

// Config holds what has defaults.
type Config struct {
	// Transport makes the requests; http.DefaultTransport when nil.
	Transport http.RoundTripper
	// Timeout bounds each request but those for logs; 60 s when 0.
	Timeout time.Duration
	// Idle is how long a stream may be silent before it counts as cut; the frontend shows signs of life every 15 s. 60 s when 0.
	Idle time.Duration
	// GiveUp is how long Follow waits in all for a frontend that does not answer; 2 min when 0.
	GiveUp time.Duration
	// Wait waits between attempts to connect; nil waits for that long or until ctx is done.
	Wait func(ctx context.Context, d time.Duration) error
}

// Client talks to one frontend. Safe for concurrent use.
type Client struct {
	base   string
	token  string
	http   *http.Client
	config Config
}

// New makes a client of the frontend at baseURL, http://127.0.0.1:7080 for example. Nothing is sent yet.
func New(baseURL, token string, config Config) (*Client, error) {
	base, err := url.Parse(baseURL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.RawQuery != "" || base.Fragment != "" || base.User != nil {
		return nil, fault.Userf("%q is no URL of a frontend: wants one such as http://127.0.0.1:7080", baseURL)
	}
	if config.Timeout == 0 {
		config.Timeout = time.Minute
	}
	if config.Idle == 0 {
		config.Idle = time.Minute
	}
	if config.GiveUp == 0 {
		config.GiveUp = 2 * time.Minute
	}
	if config.Wait == nil {
		config.Wait = wait
	}
	return &Client{
		base:  strings.TrimSuffix(baseURL, "/") + "/api/v1",
		token: token,
		http: &http.Client{
			Transport: config.Transport,
			// A redirected POST would become a GET.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		config: config,
	}, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// maxAnswer bounds a JSON answer.
const maxAnswer = 64 << 20

// do makes a request and decodes its JSON answer into the answer.
func (c *Client) do(ctx context.Context, method, path string, body []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	header := http.Header{"Accept": {"application/json"}}
	if body != nil {
		header.Set("Content-Type", "application/json")
	}
	got, err := c.send(ctx, method, path, body, header)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	if !isType(got, "application/json") {
		return foreign(got)
	}
	if err := json.NewDecoder(io.LimitReader(got.Body, maxAnswer)).Decode(answer); err != nil {
		return c.unreachable(ctx, fmt.Errorf("reading the answer: %w", err))
	}
	return nil
}

// send makes a request. Its answer is one of success; every other is an error.
func (c *Client) send(ctx context.Context, method, path string, body []byte, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = header
	request.Header.Set("Authorization", "Bearer "+c.token)
	got, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if got.StatusCode/100 == 2 {
		return got, nil
	}
	defer got.Body.Close()
	var failure jobs.ErrorBody
	if !isType(got, "application/json") || json.NewDecoder(io.LimitReader(got.Body, maxAnswer)).Decode(&failure) != nil || failure.Error.Code == "" {
		return nil, foreign(got)
	}
	return nil, &Error{Status: got.StatusCode, Answer: failure.Error}
}

func isType(got *http.Response, want string) bool {
	mediaType, _, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
	return err == nil && mediaType == want
}

// unreachable tells a failed connection from the caller's own end.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err
	}
	return &UnreachableError{URL: strings.TrimSuffix(c.base, "/api/v1"), Err: err}
}
