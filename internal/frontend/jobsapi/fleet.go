package jobsapi

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
	"github.com/open-executor/executor/internal/version"
)

// activeFor is how long an executor counts as active after it was last heard of: the time after which its leases are long lost.
const activeFor = 30 * time.Second

func (h *Handler) active(executor store.Executor) bool {
	return h.config.Now().Sub(executor.LastSeenAt) < activeFor
}

func (h *Handler) executors(w *answer, r *http.Request) error {
	stored, err := h.store.Executors(r.Context())
	if err != nil {
		return h.internal(r, err)
	}
	list := make([]jobs.Executor, 0, len(stored))
	for _, executor := range stored {
		list = append(list, h.shownExecutor(executor))
	}
	return w.json(http.StatusOK, list)
}

func (h *Handler) shownExecutor(executor store.Executor) jobs.Executor {
	out := jobs.Executor{
		Name:          executor.Name,
		Queues:        append([]string{}, executor.Queues...),
		Active:        h.active(executor),
		Version:       executor.Telemetry.ExecutorVersion,
		OS:            executor.Telemetry.OS,
		Architecture:  executor.Telemetry.Architecture,
		DockerVersion: executor.Telemetry.DockerVersion,
		GitVersion:    executor.Telemetry.GitVersion,
		SrcCliVersion: executor.Telemetry.SrcCliVersion,
		Jobs:          append([]int64{}, executor.Jobs...),
		FirstSeenAt:   executor.FirstSeenAt,
		LastSeenAt:    executor.LastSeenAt,
	}
	if out.Active {
		// Of a version that can't be parsed nothing is said.
		out.Compatibility, _ = version.Compatibility(h.config.Version, out.Version)
	}
	return out
}

// queues lists the queues that have or had jobs, and those that executors serve.
func (h *Handler) queues(w *answer, r *http.Request) error {
	counts, err := h.store.Queues(r.Context())
	if err != nil {
		return h.internal(r, err)
	}
	executors, err := h.store.Executors(r.Context())
	if err != nil {
		return h.internal(r, err)
	}
	byName := make(map[string]*jobs.Queue)
	for _, count := range counts {
		byName[count.Name] = &jobs.Queue{Name: count.Name, Queued: count.Queued, Processing: count.Processing}
	}
	for _, executor := range executors {
		for _, name := range executor.Queues {
			if byName[name] == nil {
				byName[name] = &jobs.Queue{Name: name}
			}
			if h.active(executor) {
				byName[name].Executors++
			}
		}
	}
	list := make([]jobs.Queue, 0, len(byName))
	for _, queue := range byName {
		list = append(list, *queue)
	}
	slices.SortFunc(list, func(a, b jobs.Queue) int { return cmp.Compare(a.Name, b.Name) })
	return w.json(http.StatusOK, list)
}
