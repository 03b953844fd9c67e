package apiclient

import (
	"fmt"
	"net/http"

	"github.com/open-executor/executor/internal/api/jobs"
)

// Error is an error that the frontend answered.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Answer says what is wrong. Its code is empty when the answer was not the jobs API's.
	Answer jobs.Error
}

func (e *Error) Error() string { return e.Answer.Message }

// UnreachableError says that the frontend could not be reached, or the connection to it broke.
type UnreachableError struct {
	URL string
	Err error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no connection to the frontend at %s: %s", e.URL, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// foreign is an answer that no jobs API gives.
func foreign(got *http.Response) error {
	message := fmt.Sprintf("the answer of %s is not that of a jobs API (%s, type %q): is the URL that of a frontend?",
		got.Request.URL.Host, got.Status, got.Header.Get("Content-Type"))
	if location := got.Header.Get("Location"); location != "" {
		message = fmt.Sprintf("%s redirects to %s: use the URL that it leads to", got.Request.URL.Host, location)
	}
	return &Error{Status: got.StatusCode, Answer: jobs.Error{Message: message}}
}
