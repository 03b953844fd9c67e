package executorapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/frontend/dispatch"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/store"
	"github.com/open-executor/executor/internal/version"
)

// errNoExecutorName has the reference's words.
var errNoExecutorName = errors.New("worker hostname cannot be empty")

// ask is one dequeue, validated.
type ask struct {
	queues   []string
	several  bool
	executor string
	// payload is the job version that the executor reads.
	payload int
	// wait is how long it waits for a job; extended, that it knows our extensions.
	wait     time.Duration
	extended bool
}

func (h *Handler) dequeueOfOne(w http.ResponseWriter, r *http.Request, queue string) {
	var payload api.DequeueRequest
	if !decode(w, r, maxBody, &payload) {
		return
	}
	h.dequeue(w, r, payload, ask{queues: []string{queue}})
}

func (h *Handler) dequeueOfSeveral(w http.ResponseWriter, r *http.Request) {
	var payload api.DequeueRequest
	if !decode(w, r, maxBody, &payload) {
		return
	}
	if err := checkQueueNames(payload.Queues); err != nil {
		h.fail(w, r, err)
		return
	}
	h.dequeue(w, r, payload, ask{queues: payload.Queues, several: true})
}

// maxQueues is how many queues one executor may serve.
const maxQueues = 100

func checkQueueNames(queues []string) error {
	if len(queues) > maxQueues {
		return fmt.Errorf("%d queues named, at most %d may be", len(queues), maxQueues)
	}
	for _, queue := range queues {
		if !queueName.MatchString(queue) {
			return fmt.Errorf("invalid queue name %q: want a lower-case letter, then lower-case letters, digits and dashes", queue)
		}
	}
	return nil
}

// dequeue leases one job and answers with it: 200 with the job, or 204.
//
// A client that goes away after the lease and before the answer keeps the job until the lease expires unrenewed, like an executor that
// dies right after its answer; the sweeper then puts the job back.
func (h *Handler) dequeue(w http.ResponseWriter, r *http.Request, payload api.DequeueRequest, a ask) {
	if payload.ExecutorName == "" {
		h.fail(w, r, errNoExecutorName)
		return
	}
	jobVersion, err := version.JobPayloadVersion(payload.Version)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	a.executor, a.payload = payload.ExecutorName, jobVersion
	if wait, ok := preferredWait(r.Header); ok {
		a.wait, a.extended = min(wait, h.config.MaxWait), true
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(a.wait/time.Second)))
		w.Header().Set("Executor-Extensions", Extensions)
	}
	if len(a.queues) == 0 {
		h.logger.Info("dequeue without queues", log.String("executor", a.executor))
	}
	job, err := h.nextJob(r, a)
	switch {
	case errors.Is(err, store.ErrEmpty):
		answerEmpty(w, http.StatusNoContent)
	case err != nil:
		h.fail(w, r, err)
	default:
		answerJSON(w, http.StatusOK, job)
	}
}

// nextJob looks for a job, waits for one as long as the executor likes to, and turns it into the wire's form. A job that can't be turned
// is marked failed, and the next one is taken. ErrEmpty when there is none, when the client went away, and while the handler stops.
func (h *Handler) nextJob(r *http.Request, a ask) (api.Job, error) {
	deadline := time.NewTimer(a.wait)
	defer deadline.Stop()
	for {
		changed := h.watch(a.queues)
		if h.over(r.Context()) {
			return api.Job{}, store.ErrEmpty
		}
		lease, token, err := h.lease(r, a)
		if err == nil {
			job, err := dispatch.Transform(lease, a.payload)
			if err != nil {
				if err := h.refuse(r, lease, err); err != nil {
					return api.Job{}, err
				}
				continue
			}
			return a.dress(job, lease, token), nil
		}
		if !errors.Is(err, store.ErrEmpty) || a.wait == 0 || len(a.queues) == 0 {
			return api.Job{}, err
		}
		if !h.await(r.Context(), changed, deadline.C) {
			return api.Job{}, store.ErrEmpty
		}
	}
}

// dress completes the wire form with what belongs to this lease and to what the executor understands.
func (a ask) dress(job api.Job, lease store.Lease, token string) api.Job {
	job.Token = token
	if a.several {
		job.Queue = lease.Queue
	}
	if a.extended {
		job.Attempt = lease.Attempt
		job.Timeout = time.Duration(lease.Spec.Timeout)
	}
	return job
}

// lease takes one job, fairly over several queues.
func (h *Handler) lease(r *http.Request, a ask) (store.Lease, string, error) {
	if len(a.queues) == 0 {
		return store.Lease{}, "", store.ErrEmpty
	}
	token, hash := newJobToken()
	order := a.queues
	if a.several {
		order = h.rotation.Order(a.queues)
	}
	ctx, cancel := storeContext(r)
	defer cancel()
	lease, err := h.store.Lease(ctx, store.LeaseRequest{Queues: order, Executor: a.executor, TokenHash: hash})
	if err != nil && !errors.Is(err, store.ErrEmpty) {
		return store.Lease{}, "", err
	}
	if a.several {
		h.rotation.Served(order, lease.Queue)
	}
	if err == nil {
		h.hub.Wake(notify.Job(lease.JobID))
	}
	return lease, token, err
}

// refuse fails a job that can't be put on the wire; its author reads why. After an error the job stays leased until the lease expires.
func (h *Handler) refuse(r *http.Request, lease store.Lease, reason error) error {
	h.logger.Warn("job can't be handed out", log.Int64("jobID", lease.JobID), log.String("queue", lease.Queue), log.Error(reason))
	ctx, cancel := storeContext(r)
	defer cancel()
	job, err := h.store.Finish(ctx,
		store.Holder{JobID: lease.JobID, Queue: lease.Queue, Executor: lease.Executor, Attempt: lease.Attempt},
		store.Outcome{Result: store.Fail, Message: fmt.Sprintf("failed to transform record: %s", reason)})
	if err != nil && !lostLease(err) {
		return fmt.Errorf("marking job %d failed, which can't be handed out: %w", lease.JobID, err)
	}
	if err == nil {
		h.changed(job)
	}
	return nil
}

// over reports whether there is nobody left to lease for.
func (h *Handler) over(ctx context.Context) bool {
	select {
	case <-h.stopping:
		return true
	case <-ctx.Done():
		return true
	default:
		return false
	}
}
