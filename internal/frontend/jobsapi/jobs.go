package jobsapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/jobfile"
	"github.com/open-executor/executor/internal/store"
)

const (
	defaultPage = 50
	largestPage = 500
)

func (h *Handler) list(w *answer, r *http.Request) error {
	filter, err := listFilter(r.URL.Query())
	if err != nil {
		return err
	}
	limit := filter.Limit
	// One more than asked for tells whether there is another page.
	filter.Limit++
	found, err := h.store.List(r.Context(), filter)
	if err != nil {
		return h.internal(r, err)
	}
	page := jobs.JobList{Jobs: []jobs.Job{}}
	if len(found) > limit {
		found = found[:limit]
		page.Next = strconv.FormatInt(found[limit-1].ID, 10)
	}
	for _, job := range found {
		page.Jobs = append(page.Jobs, shown(job, false))
	}
	return w.json(http.StatusOK, page)
}

func listFilter(query url.Values) (filter store.Filter, err error) {
	if queues, ok := query["queue"]; ok {
		if len(queues) > 1 || !jobfile.ValidQueue(queues[0]) {
			return filter, errArgument("queue", "queue=%q: wants one queue's name", shorten(strings.Join(queues, ",")))
		}
		filter.Queue = queues[0]
	}
	for _, list := range query["state"] {
		for name := range strings.SplitSeq(list, ",") {
			state := jobs.State(name)
			if !slices.Contains(jobs.States(), state) {
				return filter, errArgument("state", "state=%q: wants some of %s", shorten(name), stateNames())
			}
			filter.States = append(filter.States, state)
		}
	}
	limit, err := number(query, "limit", 1, largestPage, defaultPage)
	if err != nil {
		return filter, err
	}
	filter.Limit = int(limit)
	if _, ok := query["cursor"]; ok {
		if filter.Before, err = number(query, "cursor", 1, 1<<62, 0); err != nil {
			return filter, errArgument("cursor", "cursor=%q: wants the member next of an earlier answer", shorten(query.Get("cursor")))
		}
	}
	return filter, nil
}

func stateNames() string {
	var names []string
	for _, state := range jobs.States() {
		names = append(names, string(state))
	}
	return strings.Join(names, ", ")
}

func (h *Handler) job(w *answer, r *http.Request) error {
	id, err := jobID(r)
	if err != nil {
		return err
	}
	stored, err := h.store.Job(r.Context(), id)
	if err != nil {
		return h.fromStore(r, id, err)
	}
	job := shown(stored, true)
	for i := range job.Attempts {
		if job.Attempts[i].Entries, err = h.store.Entries(r.Context(), id, job.Attempts[i].Number); err != nil {
			return h.internal(r, fmt.Errorf("entries of attempt %d of job %d: %w", job.Attempts[i].Number, id, err))
		}
	}
	return w.json(http.StatusOK, job)
}

func (h *Handler) cancel(w *answer, r *http.Request) error {
	id, err := jobID(r)
	if err != nil {
		return err
	}
	job, err := h.store.Cancel(r.Context(), id)
	if err != nil {
		return h.fromStore(r, id, err)
	}
	h.hub.Wake(notify.Job(id))
	if !job.State.Final() {
		h.hub.Wake(notify.Executor(job.Executor))
	}
	return w.json(http.StatusOK, shown(job, true))
}

func (h *Handler) retry(w *answer, r *http.Request) error {
	id, err := jobID(r)
	if err != nil {
		return err
	}
	job, err := h.store.Retry(r.Context(), id)
	if err != nil {
		return h.fromStore(r, id, err)
	}
	return h.created(w, job)
}

// shown is a stored job as clients see it; whole adds attempts and the spec, without the values of its secrets.
func shown(job store.Job, whole bool) jobs.Job {
	out := jobs.Job{
		ID:         job.ID,
		Queue:      job.Queue,
		State:      job.State,
		Canceling:  job.Cancel && !job.State.Final(),
		Reason:     job.Reason,
		RetryOf:    job.RetryOf,
		QueuedAt:   job.QueuedAt,
		StartedAt:  unlessZero(job.StartedAt),
		FinishedAt: unlessZero(job.FinishedAt),
		Executor:   job.Executor,
	}
	if !whole {
		return out
	}
	out.Attempts = slices.Clone(job.Attempts)
	spec := job.Spec
	if len(spec.Secrets) > 0 {
		spec.Secrets = make(map[string]jobs.Secret, len(job.Spec.Secrets))
		for name := range job.Spec.Secrets {
			spec.Secrets[name] = jobs.Secret{}
		}
	}
	out.Spec = &spec
	return out
}

func unlessZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
