package jobsapi

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/open-executor/executor/internal/store"
)

// logChunk is about how many bytes of a log are read, and held, at a time.
const logChunk = 256 << 10

// position is a place in a job's log.
type position struct {
	attempt int
	offset  int64
}

func (p position) String() string {
	return strconv.Itoa(p.attempt) + ":" + strconv.FormatInt(p.offset, 10)
}

// logs serves a job's log: one attempt's bytes as they are now, or all attempts from a position on as events.
func (h *Handler) logs(w *answer, r *http.Request) error {
	id, err := jobID(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	stream := negotiate(r, typeText, typeStream) == typeStream
	at, err := requested(query)
	if err == nil && stream {
		at, err = resumed(r, at)
	}
	if err != nil {
		return err
	}
	entry, err := number(query, "entry", 1, 1<<31-1, 0)
	if err != nil {
		return err
	}
	if stream && entry != 0 {
		return errArgument("entry", "a stream has all entries: ask for text/plain to get one")
	}
	job, err := h.store.Job(r.Context(), id)
	if err != nil {
		return h.fromStore(r, id, err)
	}
	if at.attempt > max(1, len(job.Attempts)) {
		return &apiError{status: http.StatusNotFound, code: "not_found", field: "attempt", message: "job " + strconv.FormatInt(id, 10) +
			" has no attempt " + strconv.Itoa(at.attempt) + ", only " + strconv.Itoa(len(job.Attempts))}
	}
	if stream {
		return h.stream(w, r, id, at)
	}
	if at.attempt == 0 {
		at.attempt = len(job.Attempts)
	}
	return h.plain(w, r, id, at, int(entry))
}

// requested reads attempt and offset of the query; attempt is 0 when there is none.
func requested(query url.Values) (at position, err error) {
	attempt, err := number(query, "attempt", 1, 1<<31-1, 0)
	if err != nil {
		return at, err
	}
	offset, err := number(query, "offset", 0, 1<<62, 0)
	return position{int(attempt), offset}, err
}

// resumed lets the Last-Event-ID header, which clients send when they come back on their own, win over the query.
func resumed(r *http.Request, at position) (position, error) {
	header := r.Header.Get("Last-Event-ID")
	if header == "" {
		at.attempt = max(1, at.attempt)
		return at, nil
	}
	attempt, offset, ok := strings.Cut(header, ":")
	if !ok {
		offset = ""
	}
	at, err := requested(url.Values{"attempt": {attempt}, "offset": {offset}})
	if err != nil {
		return at, errArgument("Last-Event-ID", "Last-Event-ID %q: wants the id of an earlier event, <attempt>:<offset>", shorten(header))
	}
	return at, nil
}

// plain sends what an attempt's log has from at on, of one entry only when entry isn't 0.
func (h *Handler) plain(w *answer, r *http.Request, id int64, at position, entry int) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for {
		pieces, err := h.store.ReadLog(r.Context(), id, at.attempt, at.offset, logChunk)
		if err != nil && !(errors.Is(err, store.ErrNotFound) && at.attempt == 0) {
			return h.internal(r, err)
		}
		if len(pieces) == 0 {
			break
		}
		for _, piece := range pieces {
			at.offset = piece.Offset + int64(len(piece.Data))
			if entry != 0 && piece.Entry != entry {
				continue
			}
			if _, err := w.Write(piece.Data); err != nil {
				return errClientGone
			}
		}
	}
	if !w.started {
		w.WriteHeader(http.StatusOK)
	}
	return nil
}
