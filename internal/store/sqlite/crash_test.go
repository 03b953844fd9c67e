package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
)

const crashChildEnv = "EXECUTOR_STORE_CRASH_CHILD"

// ack is what a crash child says once a write was acknowledged: at least this is true of the job from then on.
type ack struct {
	Job     int64
	State   jobs.State
	Cancel  bool
	Attempt int
	// Log is the output of the attempt's first entry.
	Log string
}

// TestCrash kills a process that writes, at random moments, and finds all that it acknowledged.
func TestCrash(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	acked := make(map[int64]ack)
	for round := range 6 {
		reports := runAndKill(t, path, 40+rand.IntN(200))
		require.NotEmpty(t, reports)
		for _, report := range reports {
			acked[report.Job] = report
		}
		checkAfterCrash(t, path, acked, round)
	}
}

// runAndKill starts a child, kills it after some acknowledgements, and returns all that it gave.
func runAndKill(t *testing.T, path string, after int) []ack {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), crashChildEnv+"="+path)
	var stderr bytes.Buffer
	child.Stderr = &stderr
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	var reports []ack
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break // A line without an end was not acknowledged.
		}
		var report ack
		require.NoError(t, json.Unmarshal(line, &report), "%s", line)
		reports = append(reports, report)
		if len(reports) == after {
			require.NoError(t, child.Process.Kill())
		}
	}
	require.ErrorContains(t, child.Wait(), "killed", "the child fell before it was pushed: %s", &stderr)
	require.NoError(t, ctx.Err())
	return reports
}

func checkAfterCrash(t *testing.T, path string, acked map[int64]ack, round int) {
	s, err := Open(t.Context(), path, Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	var sound string
	require.NoError(t, s.reader.QueryRow(`PRAGMA integrity_check`).Scan(&sound))
	require.Equal(t, "ok", sound)
	var broken int
	require.NoError(t, s.reader.QueryRow(`SELECT count(*) FROM pragma_foreign_key_check`).Scan(&broken))
	require.Zero(t, broken)

	rank := make(map[jobs.State]int)
	for i, state := range jobs.States() {
		rank[state] = i
	}
	for id, want := range acked {
		about := fmt.Sprintf("round %d, job %d, acknowledged %+v", round, id, want)
		got, err := s.Job(t.Context(), id)
		require.NoError(t, err, about)
		require.GreaterOrEqual(t, rank[got.State], rank[want.State], about)
		if want.State.Final() {
			require.Equal(t, want.State, got.State, about)
		}
		require.GreaterOrEqual(t, len(got.Attempts), want.Attempt, about)
		require.True(t, got.Cancel || !want.Cancel, about)
		if want.Log == "" {
			continue
		}
		pieces, err := s.ReadLog(t.Context(), id, want.Attempt, 0, 1<<20)
		require.NoError(t, err, about)
		var log strings.Builder
		for _, piece := range pieces {
			log.Write(piece.Data)
		}
		require.True(t, strings.HasPrefix(log.String(), want.Log), "%s, log %q", about, &log)
	}
}

// crashChild runs jobs until it is killed. It works on several at once, so that it always dies within a write.
func crashChild(path string) int {
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	failed := make(chan error)
	for worker := range 3 {
		go func() {
			for {
				if err := crashJob(s, fmt.Sprintf("worker-%d", worker)); err != nil {
					failed <- err
				}
			}
		}()
	}
	fmt.Fprintln(os.Stderr, <-failed)
	return 1
}

func crashJob(s *Store, worker string) error {
	ctx := context.Background()
	job, err := s.Submit(ctx, store.NewJob{Spec: jobs.Spec{Queue: worker, Secrets: map[string]jobs.Secret{"A": {Value: "b"}}}})
	if err != nil {
		return err
	}
	now := ack{Job: job.ID, State: jobs.Queued}
	say(now)
	lease, err := s.Lease(ctx, store.LeaseRequest{Queues: []string{worker}, Executor: worker})
	if err != nil {
		return err
	}
	// It may be a job that an earlier child left.
	now = ack{Job: lease.JobID, State: jobs.Processing, Attempt: lease.Attempt}
	say(now)
	holder := store.Holder{JobID: lease.JobID, Queue: worker, Executor: worker, Attempt: lease.Attempt}
	entry, err := s.AddEntry(ctx, holder, api.ExecutionLogEntry{Key: "step.docker.0"})
	for i := 0; i < 5 && err == nil; i++ {
		out := now.Log + fmt.Sprintf("line %d\n", i)
		if err = s.UpdateEntry(ctx, holder, entry, api.ExecutionLogEntry{Out: out}); err == nil {
			now.Log = out
			say(now)
		}
	}
	if err != nil {
		return err
	}
	if rand.IntN(2) == 0 {
		if _, err := s.Cancel(ctx, lease.JobID); err != nil {
			return err
		}
		now.Cancel = true
		say(now)
	}
	result := []store.Result{store.Complete, store.Fail}[rand.IntN(2)]
	over, err := s.Finish(ctx, holder, store.Outcome{Result: result, Message: "said"})
	if err != nil {
		return err
	}
	now.State = over.State
	say(now)
	return nil
}

// say writes one line at once, so that lines of several workers do not mix.
func say(report ack) {
	line, err := json.Marshal(report)
	if err != nil {
		panic(err)
	}
	if _, err := os.Stdout.Write(append(line, '\n')); err != nil {
		os.Exit(1)
	}
}
