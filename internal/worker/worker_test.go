package worker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
)

// fakeQueue hands out its jobs in order and answers heartbeats from its sets.
type fakeQueue struct {
	mu         sync.Mutex
	jobs       []api.Job
	dequeues   []time.Time
	dequeueErr error
	forgotten  map[string]bool
	stopped    map[string]bool
	beatErr    error
	beats      [][]string
	beatTimes  []time.Time
	reports    map[string][]api.Report
	// holds makes heartbeats that name jobs wait for a cancel, for up to 5 s.
	holds bool
	// hang makes an empty dequeue wait like a long poll.
	hang bool
}

func newFakeQueue(jobs ...api.Job) *fakeQueue {
	return &fakeQueue{jobs: jobs, forgotten: map[string]bool{}, stopped: map[string]bool{}, reports: map[string][]api.Report{}}
}

func (q *fakeQueue) Dequeue(ctx context.Context) (api.Job, bool, error) {
	q.mu.Lock()
	q.dequeues = append(q.dequeues, time.Now())
	if q.dequeueErr != nil {
		defer q.mu.Unlock()
		return api.Job{}, false, q.dequeueErr
	}
	if len(q.jobs) > 0 {
		defer q.mu.Unlock()
		job := q.jobs[0]
		q.jobs = q.jobs[1:]
		return job, true, nil
	}
	hang := q.hang
	q.mu.Unlock()
	if hang {
		<-ctx.Done()
		return api.Job{}, false, ctx.Err()
	}
	return api.Job{}, false, nil
}

func (q *fakeQueue) Heartbeat(ctx context.Context, uids []string) (known, stop []string, err error) {
	q.mu.Lock()
	q.beats = append(q.beats, uids)
	q.beatTimes = append(q.beatTimes, time.Now())
	if q.beatErr != nil {
		defer q.mu.Unlock()
		return nil, nil, q.beatErr
	}
	hold := q.holds && len(uids) > 0
	q.mu.Unlock()
	known, stop = q.answer(uids)
	for until := time.Now().Add(5 * time.Second); hold && stop == nil && time.Now().Before(until); known, stop = q.answer(uids) {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		time.Sleep(time.Millisecond)
	}
	return known, stop, nil
}

func (q *fakeQueue) answer(uids []string) (known, stop []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, uid := range uids {
		if !q.forgotten[uid] {
			known = append(known, uid)
		}
		if q.stopped[uid] {
			stop = append(stop, uid)
		}
	}
	return known, stop
}

func (q *fakeQueue) HoldsHeartbeats() bool { return q.holds }

func (q *fakeQueue) Report(_ context.Context, job api.Job, report api.Report) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reports[job.UID()] = append(q.reports[job.UID()], report)
	return nil
}

func (q *fakeQueue) reported(uid string) []api.Report {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.reports[uid]
}

func (q *fakeQueue) set(change func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	change()
}

func (q *fakeQueue) beatsSoFar() [][]string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.beats)
}

// handlerFunc makes a handler of a function.
type handlerFunc func(ctx context.Context, job api.Job) error

func (f handlerFunc) Handle(ctx context.Context, job api.Job) error { return f(ctx, job) }

// untilDone is a job that runs until its context ends.
func untilDone(ctx context.Context, _ api.Job) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func start(t *testing.T, queue Queue, handler handlerFunc, config Config) (w *Worker, ended chan struct{}) {
	t.Helper()
	if config.Slots == 0 {
		config.Slots = 1
	}
	if config.PollInterval == 0 {
		config.PollInterval = time.Second
	}
	w, err := New(logtest.Scoped(t), queue, handler, config)
	require.NoError(t, err)
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(context.Background())
	}()
	return w, ended
}

func hasEnded(ended chan struct{}) bool {
	synctest.Wait()
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

func TestResultsAreReported(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want api.Report
	}{
		"success":        {nil, api.Report{Result: api.Complete}},
		"step failed":    {errors.New(`running command "a": command failed with exit code 3`), api.Report{Result: api.Errored, Message: `running command "a": command failed with exit code 3`}},
		"user error":     {fault.Userf("bad path"), api.Report{Result: api.Failed, Message: "bad path"}},
		"infrastructure": {fault.Infrastructuref("disk full"), api.Report{Result: api.Errored, Message: "disk full"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				queue := newFakeQueue(api.Job{ID: 7})
				_, ended := start(t, queue, func(context.Context, api.Job) error { return test.err }, Config{TotalJobs: 1})
				<-ended
				require.Equal(t, []api.Report{test.want}, queue.reports["7"])
			})
		})
	}
}

func TestDequeuesAgainWithoutDelayWhileThereIsWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 1}, api.Job{ID: 2}, api.Job{ID: 3})
		began := time.Now()
		_, ended := start(t, queue, func(context.Context, api.Job) error { return nil }, Config{TotalJobs: 3})
		<-ended
		require.Zero(t, time.Since(began))
		require.Len(t, queue.reports, 3)
	})
}

func TestPollsAtTheIntervalWhenEmptyOrFailing(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"empty": nil, "failing": errors.New("connection refused")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				queue := newFakeQueue()
				queue.dequeueErr = err
				w, ended := start(t, queue, untilDone, Config{PollInterval: time.Second})
				time.Sleep(10*time.Second + time.Millisecond)
				w.Drain()
				<-ended
				require.GreaterOrEqual(t, len(queue.dequeues), 10)
				for i := 1; i < len(queue.dequeues); i++ {
					gap := queue.dequeues[i].Sub(queue.dequeues[i-1])
					require.GreaterOrEqual(t, gap, time.Second)
					require.LessOrEqual(t, gap, 1100*time.Millisecond)
				}
			})
		})
	}
}

func TestSlotsBoundRunningJobs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 1}, api.Job{ID: 2}, api.Job{ID: 3})
		release := make(chan struct{})
		w, ended := start(t, queue, func(context.Context, api.Job) error { <-release; return nil }, Config{Slots: 2})
		synctest.Wait()
		require.Equal(t, 2, w.running.count())
		require.Len(t, queue.jobs, 1)
		release <- struct{}{}
		synctest.Wait()
		require.Equal(t, 2, w.running.count())
		close(release)
		w.Drain()
		<-ended
		require.Len(t, queue.reports, 3)
	})
}

func TestHeartbeatsEveryFiveSecondsAlsoWhenIdleAndWhileDraining(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue()
		release := make(chan struct{})
		w, ended := start(t, queue, func(context.Context, api.Job) error { <-release; return nil }, Config{})
		time.Sleep(11 * time.Second)
		beats := queue.beatsSoFar()
		require.Len(t, beats, 3, "at 0, 5 and 10 s")
		require.Empty(t, beats[2])
		queue.set(func() { queue.jobs = []api.Job{{ID: 4, Queue: "batches"}} })
		time.Sleep(5 * time.Second)
		w.Drain()
		time.Sleep(10 * time.Second)
		require.False(t, hasEnded(ended))
		beats = queue.beatsSoFar()
		require.Equal(t, []string{"4-batches"}, beats[len(beats)-1])
		close(release)
		<-ended
	})
}

func TestCanceledJobIsReportedAsFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 5})
		var cause error
		_, ended := start(t, queue, func(ctx context.Context, job api.Job) error {
			err := untilDone(ctx, job)
			cause = context.Cause(ctx)
			return err
		}, Config{TotalJobs: 1})
		time.Sleep(time.Second)
		queue.set(func() { queue.stopped["5"] = true })
		<-ended
		require.ErrorIs(t, cause, runtime.ErrCanceled)
		require.Equal(t, []api.Report{{Result: api.Failed, Message: "job canceled"}}, queue.reports["5"])
	})
}

func TestLostJobIsStoppedAndNotReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 5})
		var cause error
		w, ended := start(t, queue, func(ctx context.Context, job api.Job) error {
			err := untilDone(ctx, job)
			cause = context.Cause(ctx)
			return err
		}, Config{TotalJobs: 1})
		time.Sleep(time.Second)
		queue.set(func() { queue.forgotten["5"] = true })
		<-ended
		require.ErrorIs(t, cause, runtime.ErrLeaseLost)
		require.Empty(t, queue.reports)
		require.Zero(t, w.running.count())
	})
}

func TestFailedHeartbeatChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 5})
		queue.beatErr = errors.New("connection refused")
		release := make(chan struct{})
		_, ended := start(t, queue, func(ctx context.Context, _ api.Job) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}, Config{TotalJobs: 1})
		time.Sleep(time.Minute)
		close(release)
		<-ended
		require.Equal(t, []api.Report{{Result: api.Complete}}, queue.reports["5"])
	})
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config, job, want time.Duration
	}{
		"executor's":              {time.Minute, 0, time.Minute},
		"job's":                   {0, time.Minute, time.Minute},
		"job's below executor's":  {time.Hour, time.Minute, time.Minute},
		"executor's below job's":  {time.Minute, time.Hour, time.Minute},
		"job's, executor without": {-1, time.Minute, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				queue := newFakeQueue(api.Job{ID: 5, Timeout: test.job})
				began := time.Now()
				_, ended := start(t, queue, untilDone, Config{TotalJobs: 1, MaxRuntime: test.config})
				<-ended
				require.Equal(t, test.want, time.Since(began).Truncate(time.Second))
				require.Equal(t, []api.Report{{Result: api.Errored, Message: "job exceeded maximum execution time of 1m0s: deadline of 1m0s exceeded"}}, queue.reports["5"])
			})
		})
	}
}

func TestDrainWaitsForRunningJobs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 1}, api.Job{ID: 2})
		release := make(chan struct{})
		w, ended := start(t, queue, func(context.Context, api.Job) error { <-release; return nil }, Config{})
		synctest.Wait()
		w.Drain()
		time.Sleep(24 * time.Hour)
		require.False(t, hasEnded(ended))
		close(release)
		<-ended
		require.Equal(t, []api.Report{{Result: api.Complete}}, queue.reports["1"])
		require.Len(t, queue.jobs, 1, "nothing is taken after the drain began")
	})
}

func TestDrainEndsALongPollSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue()
		queue.hang = true
		w, ended := start(t, queue, untilDone, Config{})
		time.Sleep(time.Minute)
		began := time.Now()
		w.Drain()
		<-ended
		require.Equal(t, drainDequeueGrace, time.Since(began))
	})
}

func TestStopEndsRunningJobsAndReportsThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 1})
		w, ended := start(t, queue, untilDone, Config{})
		time.Sleep(time.Second)
		began := time.Now()
		w.Stop()
		<-ended
		require.Zero(t, time.Since(began))
		require.Equal(t, []api.Report{{Result: api.Errored, Message: "executor is shutting down"}}, queue.reports["1"])
	})
}

func TestDrainTimeoutStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 1})
		w, ended := start(t, queue, untilDone, Config{DrainTimeout: time.Minute})
		time.Sleep(time.Second)
		began := time.Now()
		w.Drain()
		<-ended
		require.Equal(t, time.Minute, time.Since(began))
		require.Len(t, queue.reports["1"], 1)
	})
}

func TestMaxActiveTimeEndsDequeuing(t *testing.T) {
	t.Parallel()
	for name, jobs := range map[string][]api.Job{"idle": nil, "busy": {{ID: 1}, {ID: 2}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				queue := newFakeQueue(jobs...)
				began := time.Now()
				_, ended := start(t, queue, func(ctx context.Context, _ api.Job) error {
					time.Sleep(10 * time.Minute)
					return ctx.Err()
				}, Config{MaxActiveTime: 5 * time.Minute})
				<-ended
				if jobs == nil {
					require.Equal(t, 5*time.Minute, time.Since(began).Truncate(time.Second))
					return
				}
				require.Equal(t, 10*time.Minute, time.Since(began).Truncate(time.Second))
				require.Equal(t, []api.Report{{Result: api.Complete}}, queue.reports["1"])
				require.Len(t, queue.jobs, 1)
			})
		})
	}
}

func TestNewAttemptWaitsForTheOldOneToBeTornDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 1, Attempt: 1})
		var order []string
		_, ended := start(t, queue, func(ctx context.Context, job api.Job) error {
			if job.Attempt == 1 {
				<-ctx.Done()
				time.Sleep(3 * time.Second) // teardown
				order = append(order, "first gone")
				return context.Cause(ctx)
			}
			order = append(order, "second runs")
			return nil
		}, Config{Slots: 2, TotalJobs: 2})
		synctest.Wait()
		queue.set(func() { queue.jobs = []api.Job{{ID: 1, Attempt: 2}} })
		<-ended
		require.Equal(t, []string{"first gone", "second runs"}, order)
		require.Equal(t, []api.Report{{Result: api.Complete}}, queue.reports["1"], "a frontend that doesn't number attempts would take the first one's end for the second's")
	})
}

func TestLeaseOfANewAttemptIsRenewedWhileTheOldOneIsTornDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 1, Attempt: 1})
		_, ended := start(t, queue, func(ctx context.Context, job api.Job) error {
			if job.Attempt == 1 {
				<-ctx.Done()
				time.Sleep(time.Minute)
			}
			return nil
		}, Config{Slots: 2, TotalJobs: 2})
		synctest.Wait()
		queue.set(func() { queue.jobs = []api.Job{{ID: 1, Attempt: 2}} })
		<-ended
		require.GreaterOrEqual(t, len(queue.beats), 12)
		for _, uids := range queue.beats[1:] {
			require.Equal(t, []string{"1"}, uids)
		}
		require.Len(t, queue.reports["1"], 1)
	})
}

// The frontend took the job away and then gave it to this executor once more.
func TestLeaseOfANewAttemptIsRenewedWhileALostOneIsTornDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 1, Attempt: 1})
		queue.forgotten["1"] = true
		_, ended := start(t, queue, func(ctx context.Context, job api.Job) error {
			if job.Attempt == 1 {
				<-ctx.Done()
				queue.set(func() { queue.forgotten["1"], queue.jobs = false, []api.Job{{ID: 1, Attempt: 2}} })
				time.Sleep(time.Minute)
			}
			return nil
		}, Config{Slots: 2, TotalJobs: 2})
		<-ended
		named := 0
		for _, uids := range queue.beats {
			named += len(uids)
		}
		require.GreaterOrEqual(t, named, 11)
		require.Len(t, queue.reports["1"], 1)
	})
}

// deafQueue is a frontend that no report reaches.
type deafQueue struct{ *fakeQueue }

func (q deafQueue) Report(ctx context.Context, _ api.Job, _ api.Report) error {
	select {
	case <-ctx.Done():
	case <-time.After(time.Hour):
	}
	return errors.New("connection refused")
}

func TestStopDoesNotWaitLongForAFrontendThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for name, stopAfter := range map[string]time.Duration{"while the job runs": 30 * time.Second, "while its end is reported": 5 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, ended := start(t, deafQueue{newFakeQueue(api.Job{ID: 1})}, func(ctx context.Context, _ api.Job) error {
					select {
					case <-ctx.Done():
					case <-time.After(time.Minute):
					}
					return context.Cause(ctx)
				}, Config{})
				time.Sleep(stopAfter)
				began := time.Now()
				w.Stop()
				<-ended
				require.Equal(t, stopReportTime, time.Since(began))
			})
		})
	}
}

func TestNewRefusesNoSlots(t *testing.T) {
	t.Parallel()
	_, err := New(logtest.Scoped(t), newFakeQueue(), handlerFunc(untilDone), Config{})
	require.EqualError(t, err, "worker slots: want at least 1, got 0")
}

func TestHeldHeartbeatsStopAJobAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 1}, api.Job{ID: 2})
		queue.holds = true
		_, ended := start(t, queue, untilDone, Config{Slots: 1, TotalJobs: 2})
		for _, uid := range []string{"1", "2"} {
			// The second job begins while the heartbeat that names only the first is held.
			time.Sleep(700 * time.Millisecond)
			began := time.Now()
			queue.set(func() { queue.stopped[uid] = true })
			for queue.reported(uid) == nil {
				time.Sleep(time.Millisecond)
			}
			require.Less(t, time.Since(began), 100*time.Millisecond, "job %s", uid)
		}
		<-ended
	})
}

func TestAJobIsStoppedSoonWhileAnotherIsSlowToStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 1}, api.Job{ID: 2})
		queue.holds = true
		_, ended := start(t, queue, func(ctx context.Context, job api.Job) error {
			<-ctx.Done()
			if job.ID == 1 {
				time.Sleep(8 * time.Second) // its grace period
			}
			return context.Cause(ctx)
		}, Config{Slots: 2, TotalJobs: 2})
		time.Sleep(time.Second)
		queue.set(func() { queue.stopped["1"] = true })
		time.Sleep(time.Second)
		began := time.Now()
		queue.set(func() { queue.stopped["2"] = true })
		for queue.reported("2") == nil {
			time.Sleep(time.Millisecond)
		}
		require.Less(t, time.Since(began), 600*time.Millisecond)
		<-ended
	})
}

func TestHeldHeartbeatsFollowEachOtherAtTheInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 1})
		queue.holds = true
		release := make(chan struct{})
		_, ended := start(t, queue, func(context.Context, api.Job) error { <-release; return nil }, Config{TotalJobs: 1})
		time.Sleep(time.Minute)
		close(release)
		<-ended
		require.InDelta(t, 12, len(queue.beatsSoFar()), 2, "one every five seconds")
	})
}
