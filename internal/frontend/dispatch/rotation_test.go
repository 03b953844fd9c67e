package dispatch

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// dequeue serves the first queue of the order that has a job, as the store does.
func dequeue(r *Rotation, queues []string, backlogged func(string) bool) string {
	order := r.Order(queues)
	for _, queue := range order {
		if backlogged(queue) {
			r.Served(order, queue)
			return queue
		}
	}
	r.Served(order, "")
	return ""
}

func always(string) bool { return true }

func TestRotationOfTheDefaultWeights(t *testing.T) {
	t.Parallel()
	r := NewRotation(DefaultWeights())
	var served []string
	for range 10 {
		served = append(served, dequeue(r, []string{"codeintel", "batches", "batches"}, always))
	}
	require.Equal(t, []string{
		"batches", "batches", "codeintel", "batches", "batches",
		"batches", "batches", "codeintel", "batches", "batches",
	}, served)
}

func TestRotationTriesTheNextQueueWhenTheFirstIsEmpty(t *testing.T) {
	t.Parallel()
	r := NewRotation(DefaultWeights())
	queues := []string{"batches", "codeintel"}
	for range 100 {
		require.Equal(t, "codeintel", dequeue(r, queues, func(q string) bool { return q == "codeintel" }))
	}
	// Nothing was saved up: batches gets its share again, not a long run.
	var served []string
	for range 5 {
		served = append(served, dequeue(r, queues, always))
	}
	require.Equal(t, 1, count(served, "codeintel"), served)
	require.Empty(t, dequeue(r, queues, func(string) bool { return false }))
	require.Empty(t, r.owed, "idle queues leave nothing behind")
}

func TestRotationIsFair(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,3}`), 1, 6, rapid.ID[string]).Draw(t, "queues")
		weights := map[string]int{}
		total := 0
		for _, name := range names {
			weights[name] = rapid.IntRange(1, 9).Draw(t, "weight of "+name)
			total += weights[name]
		}
		r := NewRotation(weights)
		// Any history of partial backlogs first: it must not matter for long.
		for range rapid.IntRange(0, 30).Draw(t, "history") {
			asked := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, len(names), rapid.ID[string]).Draw(t, "asked")
			busy := rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID[string]).Draw(t, "busy")
			dequeue(r, asked, func(q string) bool { return slices.Contains(busy, q) })
			for name, owed := range r.owed {
				if owed > 2*total || owed < -2*total {
					t.Fatalf("%s is owed %d, with weights of %d together", name, owed, total)
				}
			}
		}
		const rounds = 20
		got := map[string]int{}
		for range rounds * total {
			got[dequeue(r, names, always)]++
		}
		for name, weight := range weights {
			want := rounds * weight
			if diff := got[name] - want; diff > 2*total || diff < -2*total {
				t.Fatalf("%s got %d of %d dequeues, want about %d", name, got[name], rounds*total, want)
			}
		}
	})
}

// Without a history each round of as many dequeues as the weights' sum is exact.
func TestRotationRoundsAreExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.MapOfN(rapid.StringMatching(`[a-z]{1,3}`), rapid.IntRange(1, 9), 1, 6).Draw(t, "weights")
		var names []string
		total := 0
		for name, weight := range weights {
			names = append(names, name)
			total += weight
		}
		r := NewRotation(weights)
		for range 3 {
			got := map[string]int{}
			for range total {
				got[dequeue(r, names, always)]++
			}
			for name, weight := range weights {
				if got[name] != weight {
					t.Fatalf("%s got %d in one round, want %d", name, got[name], weight)
				}
			}
		}
	})
}

func count(list []string, of string) int {
	n := 0
	for _, element := range list {
		if element == of {
			n++
		}
	}
	return n
}
