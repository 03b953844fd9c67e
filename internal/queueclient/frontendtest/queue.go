package frontendtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/version"
)

func (f *Frontend) dequeue(w http.ResponseWriter, r *http.Request) {
	var request api.DequeueRequest
	if !read(w, r, &request) {
		return
	}
	queues := request.Queues
	single := r.PathValue("queue")
	if single != "" {
		queues = []string{single}
	}
	if request.ExecutorName == "" {
		refuse(w, "worker hostname cannot be empty")
		return
	}
	payload, err := version.JobPayloadVersion(request.Version)
	if err != nil {
		refuse(w, err.Error())
		return
	}
	token := newToken()
	wait := f.answerPreferences(w, r)
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	var taken *api.Job
	take := func() bool {
		if r.Context().Err() != nil {
			return false
		}
		job := f.take(queues, request.ExecutorName, token)
		if job == nil {
			return false
		}
		handed := job.Job
		handed.Token = job.token
		taken = &handed
		return true
	}
	// Without a wait the context is over at once, but only after the first look.
	if err := f.wait(ctx, take); err != nil || taken == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if taken.Version == 0 {
		taken.Version = payload
	}
	if single != "" {
		taken.Queue = ""
	}
	writeJSON(w, http.StatusOK, taken)
}

// answerPreferences says what the frontend can do, and returns how long the request may wait.
func (f *Frontend) answerPreferences(w http.ResponseWriter, r *http.Request) time.Duration {
	f.mu.Lock()
	extensions := slices.Clone(f.extensions)
	f.mu.Unlock()
	if extensions == nil {
		return 0
	}
	w.Header().Set("Executor-Extensions", strings.Join(extensions, ", "))
	value, ok := strings.CutPrefix(r.Header.Get("Prefer"), "wait=")
	seconds, err := strconv.Atoi(value)
	if !ok || err != nil || seconds <= 0 {
		return 0
	}
	w.Header().Set("Preference-Applied", "wait="+value)
	return time.Duration(seconds) * time.Second
}

func (f *Frontend) heartbeat(w http.ResponseWriter, r *http.Request) {
	var request api.HeartbeatRequest
	if !read(w, r, &request) {
		return
	}
	f.answerPreferences(w, r)
	single := r.PathValue("queue")
	byQueue := request.JobIDsByQueue
	if single != "" {
		byQueue = []api.QueueJobIDs{{QueueName: single, JobIDs: request.JobIDs}}
	}
	if refusal := unfit(request, single); refusal != "" {
		refuse(w, refusal)
		return
	}
	var response api.HeartbeatResponse
	f.mu.Lock()
	for _, ids := range byQueue {
		for _, id := range ids.JobIDs {
			n, _ := strconv.ParseInt(id, 10, 64)
			job := f.find(n)
			if job == nil || job.Queue != ids.QueueName || !job.heldBy(request.ExecutorName) {
				continue
			}
			if single == "" {
				id += "-" + ids.QueueName
			}
			response.KnownIDs = append(response.KnownIDs, id)
			if job.cancel {
				response.CancelIDs = append(response.CancelIDs, id)
			}
		}
	}
	f.mu.Unlock()
	writeJSON(w, http.StatusOK, response)
}

// unfit says what is wrong with a heartbeat, or nothing.
func unfit(request api.HeartbeatRequest, single string) string {
	if request.ExecutorName == "" {
		return "worker hostname cannot be empty"
	}
	if single != "" {
		return ""
	}
	if len(request.QueueNames) == 0 {
		return "queueNames must be set for multi-queue heartbeats"
	}
	for _, ids := range request.JobIDsByQueue {
		if !slices.Contains(request.QueueNames, ids.QueueName) {
			return fmt.Sprintf("unsupported queue name(s) '%s' submitted in queueNames", ids.QueueName)
		}
	}
	return ""
}

func newToken() string {
	raw := make([]byte, 20)
	_, _ = rand.Read(raw)
	return hex.EncodeToString(raw)
}
