package queueclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/open-executor/executor/internal/fault"
)

// ErrLeaseLost is in the chain of errors that say: the frontend doesn't count this job as this executor's any more.
var ErrLeaseLost = errors.New("job lease lost")

// StatusError is an answer with a status that the call has no use for.
type StatusError struct {
	Code int
	// Body is the beginning of the answer's body, without tokens.
	Body string
}

func (e *StatusError) Error() string {
	if e.Body == "" {
		return fmt.Sprintf("unexpected status code %d", e.Code)
	}
	return fmt.Sprintf("unexpected status code %d: %s", e.Code, e.Body)
}

// transportError is a request without a whole answer.
type transportError struct {
	error
	// sent is set when the frontend may have seen the request.
	sent bool
}

func (e *transportError) Unwrap() error { return e.error }

// maxShownBody bounds how much of a body an error shows.
const maxShownBody = 1 << 10

// refusal turns an unwanted answer into an error of the right class.
func (c *Client) refusal(call call, response *http.Response, body []byte) error {
	status := &StatusError{Code: response.StatusCode, Body: c.shown(call, body)}
	shared := call.job == nil || call.job.Token == ""
	code := status.Code
	switch {
	case code >= 300 && code < 400:
		return fault.Operatorf("%w: the frontend redirects%s; set EXECUTOR_FRONTEND_URL to the address that it answers at", status, target(response))
	case shared && (code == http.StatusUnauthorized || code == http.StatusForbidden):
		return fault.Operatorf("%w: the frontend refuses the shared token; EXECUTOR_FRONTEND_PASSWORD must be equal to executors.accessToken in the frontend's configuration", status)
	case call.job == nil && code == http.StatusNotFound:
		return fault.Operatorf("%w: the frontend knows no such path; check EXECUTOR_FRONTEND_URL and the names of the queues", status)
	case call.leased && (code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusNotFound || unknownJob(code, body)):
		// A job's token ends with its lease, so that the frontend may refuse the token before it looks for the job.
		return fault.As(fault.User, fmt.Errorf("%w: %w", ErrLeaseLost, status))
	case call.job != nil && code < 500 && code != http.StatusTooManyRequests && code != http.StatusRequestTimeout:
		return fault.As(fault.User, status)
	}
	return fault.As(fault.Infrastructure, status)
}

// unknownJob recognises how the reference answers log calls about a job that is not the executor's (spec section 3.2).
func unknownJob(code int, body []byte) bool {
	var answer struct{ Error string }
	return code == http.StatusInternalServerError && json.Unmarshal(body, &answer) == nil && answer.Error == "unknown job"
}

// target says where a redirect leads, without what could be secret in it.
func target(response *http.Response) string {
	location, err := response.Location()
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" to %s://%s%s", location.Scheme, location.Host, location.EscapedPath())
}

// shown is the beginning of a body, on one line and without tokens.
func (c *Client) shown(call call, body []byte) string {
	secrets := []string{c.config.Token}
	if call.job != nil && call.job.Token != "" {
		secrets = append(secrets, call.job.Token)
	}
	for _, secret := range secrets {
		body = bytes.ReplaceAll(body, []byte(secret), []byte("REDACTED"))
	}
	cut := len(body) > maxShownBody
	if cut {
		body = body[:maxShownBody]
	}
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(body), "")), " ")
	if cut {
		text += "..."
	}
	return text
}
