package firecracker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	// maxAnswer bounds the body of an answer in bytes, maxHeader its header.
	maxAnswer, maxHeader = 64 << 10, 16 << 10
	// pause is between two tries to reach a socket that isn't there yet.
	pause = 2 * time.Millisecond
)

// request is one request of the API. Its body is JSON.
type request struct {
	method, path string
	body         any
	// limit bounds the wait for the answer; 0 for the usual one.
	limit time.Duration
}

// api speaks with one monitor (src/firecracker/swagger/firecracker.yaml of Firecracker). Safe for concurrent use.
type api struct {
	client *http.Client
	limit  time.Duration
	// life ends with the monitor.
	life context.Context
}

// newAPI makes a client; dial reaches the monitor's socket.
func newAPI(life context.Context, limit time.Duration, dial func(context.Context) (net.Conn, error)) *api {
	return &api{life: life, limit: limit, client: &http.Client{
		// Each request has a connection of its own: there are few, and none is left then.
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return persist(ctx, dial)
			},
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// persist dials until the socket is there.
func persist(ctx context.Context, dial func(context.Context) (net.Conn, error)) (net.Conn, error) {
	for {
		conn, err := dial(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			<-ctx.Done() // the deadline is the context's, whose own clock is a little behind
		}
		if err == nil || !notYet(err) {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(pause):
		}
	}
}

// notYet tells whether a socket's server is still starting, or has no room for the moment.
func notYet(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EAGAIN)
}

// do sends a request and waits for its success. The error of one that was refused has the monitor's reason.
func (a *api) do(ctx context.Context, r request) error {
	limit := r.limit
	if limit == 0 {
		limit = a.limit
	}
	ctx, stop := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the monitor did not answer within %s", limit))
	defer stop()
	err := a.exchange(ctx, r)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case a.life.Err() != nil: // its sockets have ended with it
		err = context.Cause(a.life)
	}
	return fmt.Errorf("%s %s: %w", r.method, r.path, err)
}

func (a *api) exchange(ctx context.Context, r request) error {
	body, err := json.Marshal(r.body)
	if err != nil {
		return err
	}
	call, err := http.NewRequestWithContext(ctx, r.method, "http://localhost"+r.path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	call.Header.Set("Content-Type", "application/json")
	call.Header.Set("Accept", "application/json")
	answer, err := a.client.Do(call)
	if err != nil {
		return errors.Unwrap(err) // a url.Error, which would say once more what was asked
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return err
	case len(content) > maxAnswer:
		return fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	case answer.StatusCode/100 == 2:
		return nil
	}
	return refusal(answer.Status, content)
}

// errRefused is in the error of a request that had no effect.
var errRefused = errors.New("refused")

// refusal says why a request was refused.
func refusal(status string, content []byte) error {
	const shown = 2 << 10
	var said struct {
		FaultMessage string `json:"fault_message"`
	}
	if err := json.Unmarshal(content, &said); err != nil || said.FaultMessage == "" {
		return fmt.Errorf("%w (%s): %q", errRefused, status, content[:min(len(content), shown)])
	}
	return fmt.Errorf("%w (%s): %s", errRefused, status, said.FaultMessage[:min(len(said.FaultMessage), shown)])
}
