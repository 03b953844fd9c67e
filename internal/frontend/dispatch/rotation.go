package dispatch

import (
	"cmp"
	"maps"
	"slices"
	"sync"
)

// DefaultWeights are the reference's shares of the two well-known queues (spec frontend A6); queues without a weight have 1.
func DefaultWeights() map[string]int { return map[string]int{"batches": 4, "codeintel": 1} }

// Rotation shares dequeues over several queues by weight: a deficit round-robin, deterministic, without time windows.
//
// Each time one of several queues is served, every queue that competed is owed its weight more, and the served one pays for
// all. The queue that is owed the most comes first. As long as queues compete without pause, each gets exactly its weight's
// share of every round of dequeues. A queue that turns out to be empty is owed nothing: nobody saves up shares while idle.
// Safe for concurrent use.
type Rotation struct {
	weights map[string]int

	mu sync.Mutex
	// owed has no zero entries, so it holds only queues that compete.
	owed map[string]int
}

// NewRotation makes a rotation of the given weights; weights below 1 count as 1.
func NewRotation(weights map[string]int) *Rotation {
	return &Rotation{weights: maps.Clone(weights), owed: make(map[string]int)}
}

// Order returns the queues, without repeats, in the order in which they should be tried.
func (r *Rotation) Order(queues []string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	order := slices.Compact(slices.Sorted(slices.Values(queues)))
	slices.SortStableFunc(order, func(a, b string) int {
		return cmp.Compare(r.claim(b), r.claim(a))
	})
	return order
}

// Served records which queue of an order had a job; the queues before it were empty. An empty name says that all were.
func (r *Rotation) Served(order []string, queue string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	place := slices.Index(order, queue)
	if place < 0 {
		place = len(order)
	}
	for _, empty := range order[:place] {
		delete(r.owed, empty)
	}
	total := 0
	for _, competitor := range order[place:] {
		total += r.weight(competitor)
	}
	for i, competitor := range order[place:] {
		owed := r.claim(competitor)
		if i == 0 {
			owed -= total
		}
		if owed == 0 {
			delete(r.owed, competitor)
			continue
		}
		r.owed[competitor] = owed
	}
}

// claim is what a queue is owed if it competes once more.
func (r *Rotation) claim(queue string) int { return r.owed[queue] + r.weight(queue) }

func (r *Rotation) weight(queue string) int { return max(1, r.weights[queue]) }
