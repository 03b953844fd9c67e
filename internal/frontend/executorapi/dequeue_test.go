package executorapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/store"
)

const (
	dequeueOfDefault = "/.executors/queue/default/dequeue"
	dequeueOfSeveral = "/.executors/queue/dequeue"
	asOne            = `{"executorName":"ex-1","version":"5.2.0"}`
	asSeveral        = `{"executorName":"ex-1","version":"5.2.0","queues":["default","other"]}`
)

// looked tells of each look at the store that found nothing.
type looked struct {
	*memory
	empty chan struct{}
}

func (l looked) Lease(ctx context.Context, request store.LeaseRequest) (store.Lease, error) {
	lease, err := l.memory.Lease(ctx, request)
	if errors.Is(err, store.ErrEmpty) {
		l.empty <- struct{}{}
	}
	return lease, err
}

// start begins a dequeue on a handler without a network, within a synctest bubble.
func start(h http.Handler, ctx context.Context, path, body string, header ...string) <-chan *httptest.ResponseRecorder {
	answered := make(chan *httptest.ResponseRecorder, 1)
	request := httptest.NewRequestWithContext(ctx, "POST", path, strings.NewReader(body))
	request.Header.Set("Authorization", "token-executor "+token)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Add(name, value)
	}
	go func() {
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, request)
		answered <- recorder
	}()
	return answered
}

func newHandler(t *testing.T, queue Store, hub *notify.Hub, config Config) *Handler {
	t.Helper()
	config.Token = token
	h, err := New(logtest.Scoped(t), queue, hub, gitEcho{}, config)
	require.NoError(t, err)
	return h
}

func TestDequeueWaits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		path, body, prefer string
		applied            string
		want               time.Duration
	}{
		"not at all without the header":  {dequeueOfDefault, asOne, "", "", 0},
		"as long as asked":               {dequeueOfDefault, asOne, "wait=30", "wait=30", 30 * time.Second},
		"at most a minute":               {dequeueOfDefault, asOne, "wait=3600", "wait=60", time.Minute},
		"for several queues":             {dequeueOfSeveral, asSeveral, "wait=7", "wait=7", 7 * time.Second},
		"never for no queue":             {dequeueOfSeveral, asOne, "wait=7", "wait=7", 0},
		"beside other preferences":       {dequeueOfDefault, asOne, `respond-async; x=y, Wait = "5" ; z`, "wait=5", 5 * time.Second},
		"the first of two":               {dequeueOfDefault, asOne, "wait=2, wait=9", "wait=2", 2 * time.Second},
		"not for nonsense":               {dequeueOfDefault, asOne, "wait=soon", "", 0},
		"not for a negative wait":        {dequeueOfDefault, asOne, "wait=-1", "", 0},
		"not for what nobody can count":  {dequeueOfDefault, asOne, "wait=99999999999999999999", "", 0},
		"not for a preference alone":     {dequeueOfDefault, asOne, "wait", "", 0},
		"not for another preference":     {dequeueOfDefault, asOne, "respond-async", "", 0},
		"not at all when asked for zero": {dequeueOfDefault, asOne, "wait=0", "wait=0", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHandler(t, newMemory(), &notify.Hub{}, Config{})
				started := time.Now()
				got := <-start(h, t.Context(), test.path, test.body, "Prefer: "+test.prefer)
				require.Equal(t, 204, got.Code)
				require.Equal(t, test.want, time.Since(started))
				require.Equal(t, test.applied, got.Header().Get("Preference-Applied"))
				require.Equal(t, test.applied != "", got.Header().Get("Executor-Extensions") == Extensions)
			})
		})
	}
}

func TestDequeueIsWokenBySubmission(t *testing.T) {
	t.Parallel()
	for _, path := range []string{dequeueOfDefault, dequeueOfSeveral} {
		synctest.Test(t, func(t *testing.T) {
			queue, hub := newMemory(), &notify.Hub{}
			h := newHandler(t, queue, hub, Config{Recheck: time.Hour})
			started := time.Now()
			got := start(h, t.Context(), path, asSeveral, "Prefer: wait=60")
			synctest.Wait()
			hub.Wake(notify.Queue("default")) // someone else took that one
			synctest.Wait()
			<-time.After(10 * time.Second) // of the bubble's clock
			queue.submit(spec("default"))
			hub.Wake(notify.Queue("default"))
			answer := <-got
			require.Equal(t, 200, answer.Code)
			require.Equal(t, 10*time.Second, time.Since(started), "answered at once")
			require.Contains(t, answer.Body.String(), `"attempt":1`)
			require.NotContains(t, answer.Body.String(), "timeoutMs")
		})
	}
}

func TestDequeueLooksAgainByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newMemory()
		h := newHandler(t, queue, &notify.Hub{}, Config{})
		started := time.Now()
		got := start(h, t.Context(), dequeueOfDefault, asOne, "Prefer: wait=60")
		synctest.Wait()
		queue.submit(spec("default")) // by another process: nobody wakes
		require.Equal(t, 200, (<-got).Code)
		require.Equal(t, 5*time.Second, time.Since(started))
	})
}

func TestStopEndsWaitingDequeues(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newMemory()
		h := newHandler(t, queue, &notify.Hub{}, Config{})
		started := time.Now()
		got := start(h, t.Context(), dequeueOfDefault, asOne, "Prefer: wait=60")
		synctest.Wait()
		h.Stop()
		h.Stop()
		require.Equal(t, 204, (<-got).Code)
		require.Zero(t, time.Since(started))
		// Nothing is handed out any more, so that no answer is lost in the shutdown.
		id := queue.submit(spec("default"))
		require.Equal(t, 204, (<-start(h, t.Context(), dequeueOfDefault, asOne)).Code)
		require.Equal(t, jobs.Queued, queue.job(id).State)
	})
}

// A client that hangs up while it waits gets no job.
func TestClientGoesAway(t *testing.T) {
	t.Parallel()
	b := &bench{t: t, hub: &notify.Hub{}}
	queue := looked{newMemory(), make(chan struct{}, 8)}
	b.serve(queue, Config{Token: token})
	ctx, hangUp := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, "POST", b.server.URL+dequeueOfDefault, strings.NewReader(asOne))
	require.NoError(t, err)
	request.Header.Set("Authorization", "token-executor "+token)
	request.Header.Set("Prefer", "wait=60")
	failed := make(chan error)
	go func() {
		_, err := b.server.Client().Do(request)
		failed <- err
	}()
	<-queue.empty
	hangUp()
	require.Error(t, <-failed)
	b.server.Close() // returns when the handler has noticed
	id := queue.submit(spec("default"))
	b.hub.Wake(notify.Queue("default"))
	require.Equal(t, jobs.Queued, queue.job(id).State)
}

func TestDequeueAfterClientHasGoneLeasesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newMemory(spec("default"))
		h := newHandler(t, queue, &notify.Hub{}, Config{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		<-start(h, ctx, dequeueOfDefault, asOne)
		require.Equal(t, jobs.Queued, queue.job(42).State)
	})
}

func TestJobThatCanNotBeTransformedFails(t *testing.T) {
	t.Parallel()
	binary := spec("default")
	binary.Files = map[string]jobs.File{"blob": {Content: []byte{0xff}}}
	b := setup(t, Config{}, binary, spec("default"))
	woken := b.hub.Wait(notify.Job(42))
	got := b.do("POST", dequeueOfDefault, `{"executorName":"old","version":"4.2.0"}`, shared())
	require.Equal(t, 200, got.status, "the next job is taken")
	require.Contains(t, got.body, `"id":43`)
	failed := b.store.job(42)
	require.Equal(t, jobs.Failed, failed.State)
	require.Contains(t, failed.outcome.Message, `failed to transform record: file "blob" is binary`)
	<-woken
}

// unfinishable can't record results.
type unfinishable struct{ *memory }

func (unfinishable) Finish(context.Context, store.Holder, store.Outcome) (store.Job, error) {
	return store.Job{}, errors.New("disk full")
}

func TestAStoreThatCanNotFailAJobDoesNotDrainTheQueue(t *testing.T) {
	t.Parallel()
	bad := spec("default")
	bad.Steps = []jobs.Step{{Key: "x"}}
	b := &bench{t: t, store: newMemory(bad, bad), hub: &notify.Hub{}}
	b.serve(unfinishable{b.store}, Config{Token: token})
	got := b.do("POST", dequeueOfDefault, asOne, shared())
	require.Equal(t, 500, got.status)
	require.Contains(t, got.body, "disk full")
	require.Equal(t, jobs.Queued, b.store.job(43).State)
}

func TestStoreErrorsAreAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, spec("default"))
	b.store.fail(errors.New("disk I/O error"))
	for path, body := range map[string]string{
		dequeueOfDefault:                                    asOne,
		dequeueOfSeveral:                                    asSeveral,
		"/.executors/queue/default/heartbeat":               `{"executorName":"ex-1","jobIds":[1]}`,
		"/.executors/queue/default/markComplete":            `{"executorName":"ex-1","jobId":1}`,
		"/.executors/queue/default/addExecutionLogEntry":    `{"executorName":"ex-1","jobId":1}`,
		"/.executors/queue/default/updateExecutionLogEntry": `{"executorName":"ex-1","jobId":1,"entryId":1}`,
	} {
		got := b.do("POST", path, body, shared())
		require.Equal(t, 500, got.status, path)
		require.Equal(t, `{"error":"disk I/O error"}`, got.body, path)
	}
}

func TestQueuesAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	many := `"q"` + strings.Repeat(`,"q"`, 100)
	for path, body := range map[string]string{
		dequeueOfSeveral:              `{"executorName":"ex-1","version":"5.2.0","queues":[` + many + `]}`,
		"/.executors/queue/heartbeat": `{"executorName":"ex-1","queueNames":[` + many + `]}`,
	} {
		got := b.do("POST", path, body, shared(), "Prefer: wait=60")
		require.Equal(t, 500, got.status)
		require.Equal(t, `{"error":"101 queues named, at most 100 may be"}`, got.body)
	}
}

// Over several queues each gets its share while both have jobs, and the rest of its time the other one.
func TestDequeueOverSeveralQueuesIsFair(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Weights: map[string]int{"default": 2}})
	for range 4 {
		b.store.submit(spec("default"))
		b.store.submit(spec("other"))
	}
	var order []string
	for {
		got := b.do("POST", dequeueOfSeveral, asSeveral, shared())
		if got.status == 204 {
			break
		}
		_, rest, _ := strings.Cut(got.body, `"queue":"`)
		queue, _, _ := strings.Cut(rest, `"`)
		order = append(order, queue)
	}
	require.Equal(t, "default other default default other default other other", strings.Join(order, " "))
}

func TestChangesWakeReadersAndExecutors(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, spec("default"))
	const base = "/.executors/queue/default/"
	const op = `{"executorName":"ex-1","jobId":42,"entryId":1,"key":"k"}`
	for _, path := range []string{"dequeue", "addExecutionLogEntry", "updateExecutionLogEntry", "markErrored"} {
		job, queue := b.hub.Wait(notify.Job(42)), b.hub.Wait(notify.Queue("default"))
		body := op
		if path == "dequeue" {
			body = asOne
		}
		require.Less(t, b.do("POST", base+path, body, shared()).status, 300)
		<-job
		if path == "markErrored" {
			<-queue // it is due again
		}
	}
}
