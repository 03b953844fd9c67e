package executorapi

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/store"
)

// errUnknownJob is what log endpoints say of a job that the caller doesn't hold (spec frontend A2).
var errUnknownJob = errors.New("unknown job")

// read decodes a body about one job, of which op is a part, and finds the lease that the caller acts upon. When that fails it answers,
// and the operation must not run.
func (c caller) read(w http.ResponseWriter, r *http.Request, queue string, limit int64, payload any, op *api.JobOperation) (store.Holder, bool) {
	if !decode(w, r, limit, payload) {
		return store.Holder{}, false
	}
	holder, err := c.holder(queue, *op)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return store.Holder{}, false
	}
	return holder, true
}

// mark ends an attempt: 204, or 404 with the body null when the caller doesn't hold the job.
func (h *Handler) mark(w http.ResponseWriter, r *http.Request, c caller, queue string, result store.Result) {
	var payload api.MarkErroredRequest
	holder, ok := c.read(w, r, queue, maxBody, &payload, &payload.JobOperation)
	if !ok {
		return
	}
	outcome := store.Outcome{Result: result}
	if result != store.Complete {
		outcome.Message = payload.ErrorMessage
	}
	ctx, cancel := storeContext(r)
	defer cancel()
	job, err := h.store.Finish(ctx, holder, outcome)
	switch {
	case lostLease(err):
		h.logger.Info("result of a job that the executor does not hold refused", log.Int64("jobID", holder.JobID),
			log.String("executor", holder.Executor), log.Int("attempt", holder.Attempt), log.String("result", string(result)))
		answerJSON(w, http.StatusNotFound, nil)
	case err != nil:
		h.fail(w, r, err)
	default:
		h.changed(job)
		answerEmpty(w, http.StatusNoContent)
	}
}

func (h *Handler) addEntry(w http.ResponseWriter, r *http.Request, c caller, queue string) {
	var payload api.AddExecutionLogEntryRequest
	holder, ok := c.read(w, r, queue, maxLogBody, &payload, &payload.JobOperation)
	if !ok {
		return
	}
	ctx, cancel := storeContext(r)
	defer cancel()
	add := h.store.AddEntry
	if r.Header.Get("Idempotency-Key") != "" {
		add = h.addOnce
	}
	id, err := add(ctx, holder, payload.ExecutionLogEntry)
	if err != nil {
		h.failLog(w, r, err)
		return
	}
	h.hub.Wake(notify.Job(holder.JobID))
	answerJSON(w, http.StatusOK, id)
}

// addOnce adds an entry unless the attempt's log has it already, because the executor did not get the answer to an earlier request:
// then that entry is brought up to date. Executors that ask for it give every entry a start time of its own.
func (h *Handler) addOnce(ctx context.Context, holder store.Holder, entry api.ExecutionLogEntry) (int, error) {
	entries, err := h.store.Entries(ctx, holder.JobID, holder.Attempt)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	for _, known := range slices.Backward(entries) {
		// Stores may keep less than nanoseconds.
		if known.Key == entry.Key && known.StartedAt.Sub(entry.StartTime).Abs() < time.Microsecond {
			return known.ID, h.store.UpdateEntry(ctx, holder, known.ID, entry)
		}
	}
	return h.store.AddEntry(ctx, holder, entry)
}

func (h *Handler) updateEntry(w http.ResponseWriter, r *http.Request, c caller, queue string) {
	var payload api.UpdateExecutionLogEntryRequest
	holder, ok := c.read(w, r, queue, maxLogBody, &payload, &payload.JobOperation)
	if !ok {
		return
	}
	ctx, cancel := storeContext(r)
	defer cancel()
	if err := h.store.UpdateEntry(ctx, holder, payload.EntryID, payload.ExecutionLogEntry); err != nil {
		h.failLog(w, r, err)
		return
	}
	h.hub.Wake(notify.Job(holder.JobID))
	answerEmpty(w, http.StatusNoContent)
}

func (h *Handler) failLog(w http.ResponseWriter, r *http.Request, err error) {
	if lostLease(err) {
		err = errUnknownJob
	}
	h.fail(w, r, err)
}

func lostLease(err error) bool {
	return errors.Is(err, store.ErrLeaseLost) || errors.Is(err, store.ErrNotFound)
}
