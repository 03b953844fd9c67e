package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
	"github.com/open-executor/executor/internal/store/machine"
)

// runModel lets several executors and clients do random things to a store and, after each, compares it with a model that is
// written without the state machine's table. The comparison covers invariants 1 to 4 of the project: one final state that nothing leaves,
// one live lease, attempt numbers that grow by one and end with a cause, and logs without holes or repeats.
func runModel(t *testing.T, factory Factory) {
	rapid.Check(t, func(rt *rapid.T) {
		clock := NewClock()
		m := &model{bundle: &bundle{t: rt, ctx: t.Context(), store: factory(t, clock), clock: clock}}
		defer func() { require.NoError(rt, m.store.Close()) }()
		rt.Repeat(map[string]func(*rapid.T){
			"submit":  m.submitAny,
			"lease":   m.leaseAny,
			"renew":   m.renewAny,
			"finish":  m.finishAny,
			"log":     m.logAny,
			"expire":  m.expireAll,
			"cancel":  m.cancelAny,
			"retry":   m.retryAny,
			"advance": m.advance,
			"jump":    m.jump,
			"":        m.check,
		})
		for _, job := range m.jobs {
			m.checkJob(rt, job)
		}
	})
}

type model struct {
	*bundle
	// jobs are in the order of their ids.
	jobs []*modelJob
	// touched are the jobs that the current step is about.
	touched []*modelJob
}

type modelJob struct {
	id, retryOf      int64
	queue            string
	state            jobs.State
	cancel           bool
	retries          int
	timeout          time.Duration
	failures, resets int
	due              time.Duration
	leased, heard    time.Duration
	attempts         []*modelAttempt
	// final is the job as it was when it ended.
	final *store.Job
}

type modelAttempt struct {
	executor, cause string
	token           [32]byte
	outputs         []string
	logged          int
}

var modelExecutors = []string{"one", "two", "three"}

// live is the attempt that runs, nil when none does.
func (j *modelJob) live() *modelAttempt {
	if j.state != jobs.Processing {
		return nil
	}
	return j.attempts[len(j.attempts)-1]
}

func (j *modelJob) end(cause string, state jobs.State) {
	j.live().cause = cause
	j.state = state
	if j.cancel {
		j.state = jobs.Canceled
	}
}

func (m *model) submitAny(rt *rapid.T) {
	job := &modelJob{
		queue:   rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "queue"),
		state:   jobs.Queued,
		retries: rapid.IntRange(0, 2).Draw(rt, "retries"),
		timeout: rapid.SampledFrom([]time.Duration{0, 30 * time.Second}).Draw(rt, "timeout"),
		due:     m.clock.Monotonic(),
	}
	job.id = m.submit(job.queue, func(spec *jobs.Spec) {
		spec.Retries, spec.Timeout = job.retries, jobs.Duration(job.timeout)
	})
	m.jobs, m.touched = append(m.jobs, job), append(m.touched, job)
}

func (m *model) leaseAny(rt *rapid.T) {
	executor := rapid.SampledFrom(modelExecutors).Draw(rt, "executor")
	queues := rapid.SampledFrom([][]string{{"a"}, {"b"}, {"a", "b"}, {"b", "a"}}).Draw(rt, "queues")
	var next *modelJob
	for _, queue := range queues {
		for _, job := range m.jobs {
			waits := job.state == jobs.Queued || job.state == jobs.Errored
			if waits && job.queue == queue && job.due <= m.clock.Monotonic() && (next == nil || job.due < next.due) {
				next = job
			}
		}
		if next != nil {
			break
		}
	}
	if next == nil {
		m.requireEmpty(queues...)
		return
	}
	token := m.token()
	lease, err := m.store.Lease(m.ctx, store.LeaseRequest{Queues: queues, Executor: executor, TokenHash: token})
	require.NoError(rt, err)
	next.attempts = append(next.attempts, &modelAttempt{executor: executor, token: token})
	next.state, next.leased, next.heard = jobs.Processing, m.clock.Monotonic(), m.clock.Monotonic()
	m.touched = append(m.touched, next)
	require.Equal(rt, next.id, lease.JobID)
	require.Equal(rt, len(next.attempts), lease.Attempt)
}

// any draws a job; it skips the step when there is none.
func (m *model) any(rt *rapid.T) *modelJob {
	if len(m.jobs) == 0 {
		rt.Skip("no job")
	}
	job := m.jobs[rapid.IntRange(0, len(m.jobs)-1).Draw(rt, "job")]
	m.touched = append(m.touched, job)
	return job
}

// anyHolder draws a holder, mostly the right one, and reports whether it has the lease.
func (m *model) anyHolder(rt *rapid.T, job *modelJob) (store.Holder, bool) {
	h := store.Holder{JobID: job.id, Queue: job.queue, Executor: modelExecutors[0], Attempt: len(job.attempts)}
	if live := job.live(); live != nil {
		h.Executor = live.executor
	}
	if rapid.IntRange(0, 3).Draw(rt, "stale") == 0 {
		h.Executor = rapid.SampledFrom(modelExecutors).Draw(rt, "executor")
		h.Attempt = rapid.IntRange(0, len(job.attempts)).Draw(rt, "attempt")
	}
	live := job.live()
	return h, live != nil && live.executor == h.Executor && (h.Attempt == 0 || h.Attempt == len(job.attempts))
}

func (m *model) renewAny(rt *rapid.T) {
	executor := rapid.SampledFrom(modelExecutors).Draw(rt, "executor")
	var all, known, stop []int64
	for _, job := range m.jobs {
		all = append(all, job.id)
		live := job.live()
		if live == nil || live.executor != executor {
			continue
		}
		job.heard = m.clock.Monotonic()
		known = append(known, job.id)
		if job.cancel || job.timeout > 0 && m.clock.Monotonic()-job.leased >= job.timeout+machine.TimeoutGrace {
			stop = append(stop, job.id)
		}
	}
	gotKnown, gotStop := m.renew(executor, all...)
	require.ElementsMatch(rt, known, gotKnown)
	require.ElementsMatch(rt, stop, gotStop)
}

func (m *model) finishAny(rt *rapid.T) {
	job := m.any(rt)
	h, holds := m.anyHolder(rt, job)
	result := rapid.SampledFrom([]store.Result{store.Complete, store.Errored, store.Fail}).Draw(rt, "result")
	_, err := m.store.Finish(m.ctx, h, store.Outcome{Result: result, Message: "exit code 1"})
	if !holds {
		require.ErrorIs(rt, err, store.ErrLeaseLost)
		return
	}
	require.NoError(rt, err)
	late := job.timeout > 0 && m.clock.Monotonic()-job.leased >= job.timeout
	switch {
	case result == store.Complete:
		job.end("completed", jobs.Completed)
	case job.cancel:
		job.end("canceled", jobs.Canceled)
	case late:
		job.failures++
		job.end("timeout", jobs.Failed)
	case result == store.Fail:
		job.failures++
		job.end("failed", jobs.Failed)
	default:
		job.failures++
		job.end("errored", jobs.Failed)
		if job.failures <= job.retries {
			job.state = jobs.Errored
			job.due = m.clock.Monotonic() + RetryDelay<<(job.failures-1)
		}
	}
}

func (m *model) logAny(rt *rapid.T) {
	job := m.any(rt)
	h, holds := m.anyHolder(rt, job)
	out := rapid.StringOfN(rapid.RuneFrom([]rune("ab\nß😀")), 0, 8, -1).Draw(rt, "out")
	live := job.live()
	entry := 0
	if live != nil {
		entry = rapid.IntRange(0, len(live.outputs)).Draw(rt, "entry")
	}
	var err error
	if entry == 0 {
		_, err = m.store.AddEntry(m.ctx, h, api.ExecutionLogEntry{Key: "k", Out: out})
	} else {
		if rapid.Bool().Draw(rt, "append") {
			out = live.outputs[entry-1] + out
		}
		err = m.store.UpdateEntry(m.ctx, h, entry, api.ExecutionLogEntry{Key: "k", Out: out})
	}
	if !holds {
		require.ErrorIs(rt, err, store.ErrLeaseLost)
		return
	}
	require.NoError(rt, err)
	if entry == 0 {
		live.outputs = append(live.outputs, out)
	} else {
		live.outputs[entry-1] = out
	}
}

func (m *model) expireAll(rt *rapid.T) {
	var want []int64
	for _, job := range m.jobs {
		if job.state != jobs.Processing || m.clock.Monotonic()-job.heard < LeaseTime {
			continue
		}
		want = append(want, job.id)
		m.touched = append(m.touched, job)
		job.resets++
		if job.resets > store.MaxResets {
			job.end("lost", jobs.Failed)
		} else {
			job.end("lost", jobs.Queued)
			job.due = m.clock.Monotonic()
		}
	}
	require.ElementsMatch(rt, want, ids(m.expire()))
}

func (m *model) cancelAny(rt *rapid.T) {
	job := m.any(rt)
	_, err := m.store.Cancel(m.ctx, job.id)
	if job.state.Final() {
		require.ErrorIs(rt, err, store.ErrFinal)
		return
	}
	require.NoError(rt, err)
	job.cancel = true
	if job.state != jobs.Processing {
		job.state = jobs.Canceled
	}
}

func (m *model) retryAny(rt *rapid.T) {
	job := m.any(rt)
	retried, err := m.store.Retry(m.ctx, job.id)
	if !job.state.Final() {
		require.ErrorIs(rt, err, store.ErrNotFinal)
		return
	}
	require.NoError(rt, err)
	m.jobs = append(m.jobs, &modelJob{
		id: retried.ID, retryOf: job.id, queue: job.queue, state: jobs.Queued, retries: job.retries, timeout: job.timeout,
		due: m.clock.Monotonic(),
	})
}

func (m *model) advance(rt *rapid.T) {
	m.clock.Advance(time.Duration(rapid.SampledFrom([]int{1, 999, 5_000, 10_000, 24_000, 25_000, 61_000}).Draw(rt, "ms")) * time.Millisecond)
}

func (m *model) jump(rt *rapid.T) {
	m.clock.Jump(rapid.SampledFrom([]time.Duration{-time.Hour, time.Hour}).Draw(rt, "by"))
}

// check compares all jobs with the model, in short, and those that the step was about in full.
func (m *model) check(rt *rapid.T) {
	list, err := m.store.List(m.ctx, store.Filter{Limit: len(m.jobs) + 1})
	require.NoError(rt, err)
	require.Len(rt, list, len(m.jobs), "no job is lost and none appears")
	for i, want := range m.jobs {
		m.compare(rt, want, list[len(list)-1-i])
	}
	for _, job := range m.touched {
		m.checkJob(rt, job)
	}
	m.touched = nil
}

func (m *model) compare(rt *rapid.T, want *modelJob, got store.Job) {
	about := fmt.Sprintf("job %d", want.id)
	require.Equal(rt, want.id, got.ID, about)
	require.Equal(rt, want.state, got.State, about)
	require.Equal(rt, want.cancel, got.Cancel, about)
	require.Equal(rt, want.failures, got.Failures, about)
	require.Equal(rt, want.resets, got.Resets, about)
	require.Equal(rt, want.retryOf, got.RetryOf, about)
}

// checkJob compares all of a job, with its attempts and logs.
func (m *model) checkJob(rt *rapid.T, want *modelJob) {
	got := m.job(want.id)
	m.compare(rt, want, got)
	if want.final != nil {
		require.Equal(rt, *want.final, got, "job %d left its final state", want.id)
	} else if got.State.Final() {
		want.final = &got
	}
	require.Len(rt, got.Attempts, len(want.attempts), "job %d", want.id)
	for i, attempt := range want.attempts {
		m.checkAttempt(rt, got, i+1, attempt, want.live() == attempt)
	}
}

func (m *model) checkAttempt(rt *rapid.T, job store.Job, number int, want *modelAttempt, live bool) {
	about := fmt.Sprintf("attempt %d of job %d", number, job.ID)
	got := job.Attempts[number-1]
	require.Equal(rt, number, got.Number, about)
	require.Equal(rt, want.executor, got.Executor, about)
	require.Equal(rt, want.cause, got.Cause, about)
	require.Equal(rt, live, got.EndedAt == nil, about)
	lease, err := m.store.Token(m.ctx, want.token)
	if live {
		require.NoError(rt, err, about)
		require.Equal(rt, number, lease.Attempt, about)
	} else {
		require.ErrorIs(rt, err, store.ErrNotFound, about)
	}

	pieces := m.pieces(job.ID, number, 0, 9)
	length := len(joined(pieces))
	require.GreaterOrEqual(rt, length, want.logged, "%s: logs only grow", about)
	want.logged = length
	read := outputs(pieces)
	for i, output := range want.outputs {
		// A reset to nothing shows with the next byte.
		if output != "" {
			require.Equal(rt, output, read[i+1], about)
		}
	}
	require.Len(rt, m.entries(job.ID, number), len(want.outputs), about)
}
