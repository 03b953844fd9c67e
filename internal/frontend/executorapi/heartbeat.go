package executorapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/store"
)

// claim is one job that an executor says it runs: the id, and how the answer names it.
type claim struct {
	id  int64
	uid string
}

func (h *Handler) heartbeatOfOne(w http.ResponseWriter, r *http.Request, queue string) {
	var payload api.HeartbeatRequest
	if !decode(w, r, maxHeartbeatBody, &payload) {
		return
	}
	h.heartbeat(w, r, payload, []string{queue}, claims(payload.JobIDs, ""))
}

func (h *Handler) heartbeatOfSeveral(w http.ResponseWriter, r *http.Request) {
	var payload api.HeartbeatRequest
	if !decode(w, r, maxHeartbeatBody, &payload) {
		return
	}
	if err := checkQueues(payload); err != nil {
		h.fail(w, r, err)
		return
	}
	var all []claim
	for _, of := range payload.JobIDsByQueue {
		all = append(all, claims(of.JobIDs, "-"+of.QueueName)...)
	}
	h.heartbeat(w, r, payload, payload.QueueNames, all)
}

// checkQueues holds a heartbeat of several queues to spec frontend A2.4.
func checkQueues(payload api.HeartbeatRequest) error {
	if len(payload.QueueNames) == 0 {
		return errors.New("queueNames must be set for multi-queue heartbeats")
	}
	if err := checkQueueNames(payload.QueueNames); err != nil {
		return err
	}
	for _, of := range payload.JobIDsByQueue {
		if !slices.Contains(payload.QueueNames, of.QueueName) {
			return fmt.Errorf("jobIdsByQueue names queue %q, which is not among queueNames %q", of.QueueName, payload.QueueNames)
		}
	}
	return nil
}

// claims reads job ids. What is no integer is nobody's job: it is left out, so the executor learns that it is not known.
func claims(ids api.IDs, suffix string) []claim {
	list := make([]claim, 0, len(ids))
	for _, text := range ids {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil {
			list = append(list, claim{id, strconv.FormatInt(id, 10) + suffix})
		}
	}
	return list
}

// heartbeat records the executor, renews its leases and tells it which jobs are still its own and which it must stop.
func (h *Handler) heartbeat(w http.ResponseWriter, r *http.Request, payload api.HeartbeatRequest, queues []string, claimed []claim) {
	if payload.ExecutorName == "" {
		h.fail(w, r, errNoExecutorName)
		return
	}
	metrics := payload.PrometheusMetrics
	payload.PrometheusMetrics = ""
	ctx, cancel := storeContext(r)
	err := h.store.Seen(ctx, store.Executor{Name: payload.ExecutorName, Queues: queues, Telemetry: payload.Telemetry})
	cancel()
	if err != nil {
		// The leases matter more than the list of executors.
		h.logger.Error("recording an executor failed", log.String("executor", payload.ExecutorName), log.Error(err))
	}
	if h.config.Metrics != nil && metrics != "" {
		h.config.Metrics.Receive(payload.ExecutorName, metrics)
	}
	response := api.HeartbeatResponse{KnownIDs: api.IDs{}, CancelIDs: api.IDs{}}
	if len(claimed) > 0 {
		ids := make([]int64, len(claimed))
		for i, c := range claimed {
			ids[i] = c.id
		}
		known, stop, err := h.renew(r, payload.ExecutorName, ids)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		response.KnownIDs, response.CancelIDs = named(claimed, known), named(claimed, stop)
	}
	answerJSON(w, http.StatusOK, response)
}

// maxHold bounds how long the answer to a heartbeat is held; it must stay far below the lease time.
const maxHold = 10 * time.Second

// renew renews the leases. As long as all is well it holds the answer for the time that the executor prefers to wait, so that a cancel
// reaches it at once instead of with the next heartbeat.
func (h *Handler) renew(r *http.Request, executor string, ids []int64) (known, stop []int64, err error) {
	wait, _ := preferredWait(r.Header)
	patience := time.NewTimer(min(wait, maxHold))
	defer patience.Stop()
	for {
		canceled := h.hub.Wait(notify.Executor(executor))
		ctx, cancel := storeContext(r)
		known, stop, err = h.store.Renew(ctx, executor, ids)
		cancel()
		if err != nil || wait == 0 || len(stop) > 0 || len(known) < len(ids) {
			return known, stop, err
		}
		select {
		case <-canceled:
		case <-patience.C:
			return known, stop, nil
		case <-r.Context().Done():
			return known, stop, nil
		case <-h.stopping:
			return known, stop, nil
		}
	}
}

// named lists those of the claims whose ids are among ids, in the executor's order.
func named(claimed []claim, ids []int64) api.IDs {
	list := api.IDs{}
	for _, c := range claimed {
		if slices.Contains(ids, c.id) {
			list = append(list, c.uid)
		}
	}
	return list
}
