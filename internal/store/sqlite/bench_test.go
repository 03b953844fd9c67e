package sqlite

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
)

// each runs a benchmark with both settings of SQLite's synchronous that survive a SIGKILL, so that the price of FULL shows.
func each(b *testing.B, run func(b *testing.B, s *Store)) {
	for _, synchronous := range []string{"FULL", "NORMAL"} {
		b.Run(synchronous, func(b *testing.B) {
			run(b, open(b, filepath.Join(b.TempDir(), "queue.db"), Options{synchronous: synchronous}))
		})
	}
}

func submit(tb testing.TB, s *Store) {
	tb.Helper()
	_, err := s.Submit(tb.Context(), store.NewJob{Spec: jobs.Spec{Queue: "q", Steps: []jobs.Step{{Key: "0", Run: []string{"true"}}}}})
	require.NoError(tb, err)
}

func take(tb testing.TB, s *Store) store.Holder {
	tb.Helper()
	lease, err := s.Lease(tb.Context(), store.LeaseRequest{Queues: []string{"q"}, Executor: "e"})
	require.NoError(tb, err)
	return store.Holder{JobID: lease.JobID, Queue: lease.Queue, Executor: lease.Executor, Attempt: lease.Attempt}
}

// BenchmarkJob is the least that a job costs: submit, lease, finish.
func BenchmarkJob(b *testing.B) {
	each(b, func(b *testing.B, s *Store) {
		for b.Loop() {
			submit(b, s)
			_, err := s.Finish(b.Context(), take(b, s), store.Outcome{Result: store.Complete})
			require.NoError(b, err)
		}
	})
}

// BenchmarkLease takes jobs from a long queue.
func BenchmarkLease(b *testing.B) {
	each(b, func(b *testing.B, s *Store) {
		for range 2000 {
			submit(b, s)
		}
		for b.Loop() {
			holder := take(b, s)
			b.StopTimer()
			_, err := s.Finish(b.Context(), holder, store.Outcome{Result: store.Complete})
			require.NoError(b, err)
			submit(b, s)
			b.StartTimer()
		}
	})
}

// BenchmarkLeaseEmpty is the poll of an idle executor.
func BenchmarkLeaseEmpty(b *testing.B) {
	each(b, func(b *testing.B, s *Store) {
		for b.Loop() {
			_, err := s.Lease(b.Context(), store.LeaseRequest{Queues: []string{"q"}, Executor: "e"})
			require.ErrorIs(b, err, store.ErrEmpty)
		}
	})
}

// BenchmarkRenew is the heartbeat of an executor with ten jobs.
func BenchmarkRenew(b *testing.B) {
	each(b, func(b *testing.B, s *Store) {
		var ids []int64
		for range 10 {
			submit(b, s)
			ids = append(ids, take(b, s).JobID)
		}
		for b.Loop() {
			known, _, err := s.Renew(b.Context(), "e", ids)
			require.NoError(b, err)
			require.Len(b, known, 10)
		}
	})
}

// BenchmarkAppend adds 100 bytes to entries whose output so far, which is sent again each time, is of different lengths.
func BenchmarkAppend(b *testing.B) {
	line := strings.Repeat("x", 99) + "\n"
	for _, size := range []int{0, 1 << 20, 50 << 20} {
		b.Run(fmt.Sprintf("%dMiB", size>>20), func(b *testing.B) {
			each(b, func(b *testing.B, s *Store) {
				s.options.MaxLogBytes = 1 << 40
				submit(b, s)
				holder := take(b, s)
				out := strings.Repeat(line, size/len(line))
				id, err := s.AddEntry(b.Context(), holder, api.ExecutionLogEntry{Out: out})
				require.NoError(b, err)
				for b.Loop() {
					b.StopTimer()
					out += line
					b.StartTimer()
					require.NoError(b, s.UpdateEntry(b.Context(), holder, id, api.ExecutionLogEntry{Out: out}))
				}
			})
		})
	}
}

// BenchmarkReadLog reads 64 KiB from the middle of a log of 50 MiB that came in lines.
func BenchmarkReadLog(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "queue.db"), Options{synchronous: "OFF"})
	submit(b, s)
	holder := take(b, s)
	for range 500 {
		_, err := s.AddEntry(b.Context(), holder, api.ExecutionLogEntry{Out: strings.Repeat("x", 100<<10)})
		require.NoError(b, err)
	}
	for b.Loop() {
		pieces, err := s.ReadLog(b.Context(), holder.JobID, 1, 25<<20, 64<<10)
		require.NoError(b, err)
		require.NotEmpty(b, pieces)
	}
}
