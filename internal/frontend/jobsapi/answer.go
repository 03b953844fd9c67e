package jobsapi

import (
	"encoding/json"
	"net/http"
	"time"
)

// answer remembers whether anything was sent, so that a late error isn't written into the middle of an answer, and gives each
// write a deadline: a client that takes nothing in for that long is cut off.
type answer struct {
	http.ResponseWriter
	timeout time.Duration
	started bool
}

func (a *answer) WriteHeader(status int) {
	a.started = true
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	a.started = true
	a.limit((*http.ResponseController).SetWriteDeadline, a.timeout)
	return a.ResponseWriter.Write(p)
}

// limit sets a deadline of the connection; 0 takes it away. Writers without a connection, those of tests, have none.
func (a *answer) limit(set func(*http.ResponseController, time.Time) error, timeout time.Duration) {
	var deadline time.Time
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	_ = set(http.NewResponseController(a.ResponseWriter), deadline)
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// json sends a value as the whole answer.
func (a *answer) json(status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	a.Header().Set("Content-Type", "application/json")
	a.WriteHeader(status)
	_, _ = a.Write(append(body, '\n')) // a client that is gone needs no answer
	return nil
}

// fail sends an error as the whole answer.
func (a *answer) fail(e *apiError) {
	for name, value := range e.header {
		a.Header().Set(name, value)
	}
	_ = a.json(e.status, e.body())
}
