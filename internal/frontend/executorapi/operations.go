package executorapi

import (
	"errors"
	"net/http"

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
	id, err := h.store.AddEntry(ctx, holder, payload.ExecutionLogEntry)
	if err != nil {
		h.failLog(w, r, err)
		return
	}
	h.hub.Wake(notify.Job(holder.JobID))
	answerJSON(w, http.StatusOK, id)
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
