//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
	"github.com/open-executor/executor/internal/api/jobs"
)

// plainClient speaks to the jobs API as somebody does who has read its OpenAPI file and has an HTTP library.
type plainClient struct {
	t          testing.TB
	url, token string
}

// reply is what came back of a request, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

func (c plainClient) open(method, path, contentType, body string, header http.Header) *http.Response {
	c.t.Helper()
	request, err := http.NewRequestWithContext(harness.Context(c.t), method, c.url+"/api/v1"+path, strings.NewReader(body))
	require.NoError(c.t, err)
	if header != nil {
		request.Header = header
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { response.Body.Close() })
	return response
}

func (c plainClient) send(method, path, contentType, body string) reply {
	c.t.Helper()
	response := c.open(method, path, contentType, body, nil)
	raw, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	require.NotEmpty(c.t, response.Header.Get("Content-Type"))
	return reply{response.StatusCode, response.Header, string(raw)}
}

// refused sends a request that must be refused with a status and a code, and returns the error.
func (c plainClient) refused(method, path, contentType, body string, status int, code string) jobs.Error {
	c.t.Helper()
	got := c.send(method, path, contentType, body)
	require.Equal(c.t, status, got.status, got.body)
	refusal := decoded[jobs.ErrorBody](c.t, got.body)
	require.Equal(c.t, code, refusal.Error.Code)
	require.NotEmpty(c.t, refusal.Error.Message)
	return refusal.Error
}

// follow opens a job's log as a stream; lastID is the place to go on from, "" for the beginning.
func (c plainClient) follow(path, lastID string) *eventStream {
	c.t.Helper()
	header := http.Header{"Accept": {"text/event-stream"}}
	if lastID != "" {
		header.Set("Last-Event-ID", lastID)
	}
	response := c.open("GET", path, "", "", header)
	require.Equal(c.t, http.StatusOK, response.StatusCode)
	require.Equal(c.t, "text/event-stream", response.Header.Get("Content-Type"))
	return &eventStream{t: c.t, lines: bufio.NewReader(response.Body)}
}

// eventStream reads server-sent events.
type eventStream struct {
	t     testing.TB
	lines *bufio.Reader
	// lastID is the id of the last event that had one; output is all the output so far.
	lastID, output string
	comments       []string
}

// next reads one event; ok is false at the stream's end.
func (s *eventStream) next() (name, data string, ok bool) {
	s.t.Helper()
	for {
		line, err := s.lines.ReadString('\n')
		if err == io.EOF {
			return "", "", false
		}
		require.NoError(s.t, err)
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "":
			if name != "" {
				s.count(name, data)
				return name, data, true
			}
			if value != "" {
				s.comments = append(s.comments, value)
			}
		case "event":
			name = value
		case "id":
			s.lastID = value
		case "data":
			data = value
		}
	}
}

func (s *eventStream) count(name, data string) {
	if name == jobs.EventOutput {
		s.output += decoded[jobs.OutputEvent](s.t, data).Text
	}
}

// untilOutput reads until the output has a text.
func (s *eventStream) untilOutput(text string) {
	s.t.Helper()
	for !strings.Contains(s.output, text) {
		_, _, ok := s.next()
		require.True(s.t, ok, "the stream ended before %q; it had %q", text, s.output)
	}
}

// untilEnd reads until the end event, behind which nothing may come.
func (s *eventStream) untilEnd() jobs.StateEvent {
	s.t.Helper()
	for {
		name, data, ok := s.next()
		require.True(s.t, ok, "the stream ended without an end event")
		if name == jobs.EventEnd {
			_, _, more := s.next()
			require.False(s.t, more)
			return decoded[jobs.StateEvent](s.t, data)
		}
	}
}

func decoded[T any](t testing.TB, text string) T {
	t.Helper()
	var value T
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&value), text)
	return value
}
