package jobsapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/frontend/jobsapi/jobsapitest"
)

// event is a server-sent event, or, with a name of ":", a comment.
type event struct{ name, id, data string }

// stream is an open stream of events.
type stream struct {
	t      testing.TB
	lines  *bufio.Scanner
	close  func()
	header http.Header
}

// open begins to read a job's log as events; lastID is the Last-Event-ID, or empty.
func open(t testing.TB, f *jobsapitest.Frontend, path, lastID string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", f.URL+path, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+jobsapitest.Token)
	req.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	got, err := f.Client().Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode)
	s := &stream{t: t, lines: bufio.NewScanner(got.Body), header: got.Header, close: func() {
		cancel()
		_ = got.Body.Close()
	}}
	s.lines.Buffer(nil, 8<<20)
	return s
}

// next returns the next event; false when the stream has ended.
func (s *stream) next() (e event, ok bool) {
	for s.lines.Scan() {
		line := s.lines.Text()
		field, value, _ := strings.Cut(line, ": ")
		switch field {
		case "":
			if value != "" {
				return event{name: ":", data: value}, true
			}
			if e.name != "" {
				return e, true
			}
			e = event{}
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "retry":
			require.Equal(s.t, "1000", value)
		default:
			require.Fail(s.t, "unknown line", line)
		}
	}
	return event{}, false
}

// must returns the next event, comments left out, which must have the name and, as JSON, fit the contract's schema.
func (s *stream) must(name string) event {
	s.t.Helper()
	for {
		e, ok := s.next()
		require.True(s.t, ok, "the stream ended before %q", name)
		if e.name != ":" {
			require.Equal(s.t, name, e.name, e.data)
			e.check(s.t)
			return e
		}
	}
}

var eventSchemas = map[string]string{
	jobs.EventAttempt: "AttemptEvent", jobs.EventEntry: "Entry", jobs.EventExit: "Entry",
	jobs.EventOutput: "OutputEvent", jobs.EventState: "StateEvent", jobs.EventEnd: "StateEvent",
}

func (e event) check(t testing.TB) {
	t.Helper()
	require.Contains(t, eventSchemas, e.name)
	theContract(t).validate(t, "#/components/schemas/"+eventSchemas[e.name], []byte(e.data))
}

// as decodes an event's data.
func as[T any](t testing.TB, e event) (value T) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(e.data), &value))
	return value
}
