package jobsapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/jobfile"
	"github.com/open-executor/executor/internal/store"
)

// resolveTimeout bounds how long a repository may take to say what a branch is.
const resolveTimeout = 30 * time.Second

// bodyFormats are the media types of job files.
var bodyFormats = map[string]jobfile.Format{
	"application/json":   jobfile.JSON,
	"application/yaml":   jobfile.YAML,
	"application/x-yaml": jobfile.YAML,
	"text/yaml":          jobfile.YAML,
	"text/x-yaml":        jobfile.YAML,
}

func (h *Handler) submit(w *answer, r *http.Request) error {
	format, err := bodyFormat(r)
	if err != nil {
		return err
	}
	w.limit((*http.ResponseController).SetReadDeadline, h.config.IOTimeout)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(h.config.MaxBodyBytes)))
	w.limit((*http.ResponseController).SetReadDeadline, 0)
	if err != nil {
		return bodyError(err)
	}
	spec, err := jobfile.Parse("", body, jobfile.Options{Format: format, MaxBytes: h.config.MaxBodyBytes})
	if err != nil {
		return fromJobFile(err)
	}
	if err := h.resolve(r, spec.Repository); err != nil {
		return err
	}
	job, err := h.store.Submit(r.Context(), store.NewJob{Spec: spec})
	if err != nil {
		return h.internal(r, err)
	}
	return h.created(w, job)
}

// created answers with a new job and wakes those who wait for one.
func (h *Handler) created(w *answer, job store.Job) error {
	h.hub.Wake(notify.Queue(job.Queue))
	h.hub.Wake(notify.Job(job.ID))
	w.Header().Set("Location", fmt.Sprintf("%s/jobs/%d", Prefix, job.ID))
	return w.json(http.StatusCreated, shown(job, true))
}

func bodyFormat(r *http.Request) (jobfile.Format, error) {
	refuse := func(message string) error {
		return &apiError{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: message,
			header: map[string]string{"Accept-Post": "application/json, application/yaml"}}
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return 0, refuse(fmt.Sprintf("Content-Encoding %q is not supported: send the job file as it is", shorten(encoding)))
	}
	header := r.Header.Get("Content-Type")
	if header == "" {
		return 0, refuse("no Content-Type: say application/json or application/yaml")
	}
	mediaType, params, err := mime.ParseMediaType(header)
	format, ok := bodyFormats[mediaType]
	if err != nil || !ok {
		return 0, refuse(fmt.Sprintf("Content-Type %q is no job file's: send application/json or application/yaml", shorten(header)))
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return 0, refuse(fmt.Sprintf("charset %q is not supported: send UTF-8", shorten(charset)))
	}
	return format, nil
}

func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &apiError{status: http.StatusRequestEntityTooLarge, code: "too_large",
			message: fmt.Sprintf("the job file has more than %d bytes: let a step fetch large inputs instead", tooLarge.Limit)}
	}
	return &apiError{status: http.StatusBadRequest, code: "malformed", message: "the request's body ended too early or came too slowly"}
}

// resolve replaces a branch or tag by the commit that it names now.
func (h *Handler) resolve(r *http.Request, repository *jobs.Repository) error {
	if repository == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), resolveTimeout)
	defer cancel()
	commit, err := h.resolver.Resolve(ctx, repository.Name, repository.Commit)
	switch {
	case err == nil:
		repository.Commit = commit
		return nil
	case fault.ClassOf(err) == fault.User:
		return &apiError{status: http.StatusUnprocessableEntity, code: "unresolved", message: err.Error(), field: "repository"}
	}
	_ = h.internal(r, err) // logs it
	return &apiError{status: http.StatusBadGateway, code: "repository_unavailable", field: "repository",
		message: fmt.Sprintf("the repository %q could not be asked for %q; the frontend's log says more, try again later", repository.Name, repository.Commit)}
}
