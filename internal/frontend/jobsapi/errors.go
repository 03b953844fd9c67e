package jobsapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/jobfile"
	"github.com/open-executor/executor/internal/store"
)

// apiError is an error as the client gets it.
type apiError struct {
	status               int
	code, message, field string
	header               map[string]string
}

func (e *apiError) Error() string { return e.message }

func (e *apiError) body() jobs.ErrorBody {
	return jobs.ErrorBody{Error: jobs.Error{Code: e.code, Message: e.message, Field: e.field}}
}

// errClientGone ends a request whose client doesn't wait for the answer any more.
var errClientGone = errors.New("the client is gone")

func errInternal() *apiError {
	return &apiError{status: http.StatusInternalServerError, code: "internal", message: "internal error; the frontend's log says more"}
}

func errNoPath(path string) *apiError {
	return &apiError{status: http.StatusNotFound, code: "not_found",
		message: fmt.Sprintf("there is nothing at %q; %s/openapi.yaml lists all paths", shorten(path), Prefix)}
}

func errNoJob(id int64) *apiError {
	return &apiError{status: http.StatusNotFound, code: "not_found", message: fmt.Sprintf("there is no job %d", id), field: "id"}
}

func errArgument(field, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "invalid_argument", message: fmt.Sprintf(format, args...), field: field}
}

// fromStore translates what a store says about job id.
func (h *Handler) fromStore(r *http.Request, id int64, err error) error {
	conflict := func(code, message string) error {
		return &apiError{status: http.StatusConflict, code: code, message: message, field: "id"}
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errNoJob(id)
	case errors.Is(err, store.ErrFinal):
		return conflict("already_over", fmt.Sprintf("job %d is already over: there is nothing to cancel", id))
	case errors.Is(err, store.ErrNotFinal):
		return conflict("not_over", fmt.Sprintf("job %d is not over yet: cancel it first, or wait for its end", id))
	}
	return h.internal(r, err)
}

// fromJobFile translates what is wrong with a submission. The field is the first problem's.
func fromJobFile(err error) error {
	var problems *jobfile.Error
	if !errors.As(err, &problems) {
		return err
	}
	out := &apiError{status: http.StatusUnprocessableEntity, code: "invalid_job", message: problems.Error(), field: problems.Problems[0].Field}
	switch {
	case problems.TooLarge:
		out.status, out.code = http.StatusRequestEntityTooLarge, "too_large"
	case problems.Syntax:
		out.status, out.code = http.StatusBadRequest, "malformed"
	}
	return out
}

// shorten bounds what of a request is repeated in its answer.
func shorten(text string) string {
	const most = 100
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
