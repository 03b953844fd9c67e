// Package notify wakes those who wait for something to change: executors waiting for a job of a queue, readers waiting for
// more of a job's log.
package notify

import (
	"strconv"
	"sync"
)

// Hub passes wake-ups from writers to waiters within one process. It carries no data: who wakes looks at the store again.
// The zero value is ready; all methods are safe for concurrent use.
type Hub struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

// Queue is the key of a queue's new jobs.
func Queue(name string) string { return "queue/" + name }

// Job is the key of everything that changes about a job: state, attempts, log.
func Job(id int64) string { return "job/" + strconv.FormatInt(id, 10) }

// Executor is the key of cancels of an executor's jobs.
func Executor(name string) string { return "executor/" + name }

// Wait returns a channel that is closed at the next Wake of the key. Take it before looking at the store: a change between the
// look and the wait is then not missed. One key has one channel at a time, so giving up needs no call.
func (h *Hub) Wait(key string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == nil {
		h.waiting = make(map[string]chan struct{})
	}
	ch, ok := h.waiting[key]
	if !ok {
		ch = make(chan struct{})
		h.waiting[key] = ch
	}
	return ch
}

// Wake wakes all who wait for the key.
func (h *Hub) Wake(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ch, ok := h.waiting[key]; ok {
		close(ch)
		delete(h.waiting, key)
	}
}
