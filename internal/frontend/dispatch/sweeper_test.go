package dispatch

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type expirer func() ([]store.Job, error)

func (e expirer) Expire(context.Context) ([]store.Job, error) { return e() }

func TestSweeperWakesReadersAndExecutors(t *testing.T) {
	t.Parallel()
	answers := make(chan func() ([]store.Job, error), 2)
	answers <- func() ([]store.Job, error) { return nil, errors.New("database is away") }
	answers <- func() ([]store.Job, error) {
		return []store.Job{
			{ID: 1, Queue: "a", State: jobs.Queued, Resets: 1},
			{ID: 2, Queue: "b", State: jobs.Failed, Resets: 3},
		}, nil
	}
	hub := &notify.Hub{}
	jobOne, jobTwo := hub.Wait(notify.Job(1)), hub.Wait(notify.Job(2))
	queueA, queueB := hub.Wait(notify.Queue("a")), hub.Wait(notify.Queue("b"))

	ctx, cancel := context.WithCancel(t.Context())
	ticks, done := make(chan time.Time), make(chan struct{})
	sweeper := NewSweeper(logtest.Scoped(t), expirer(func() ([]store.Job, error) { return (<-answers)() }), hub)
	go func() {
		defer close(done)
		sweeper.Run(ctx, ticks)
	}()
	ticks <- time.Time{} // fails, and the sweeper goes on
	ticks <- time.Time{}
	<-jobOne
	<-jobTwo
	<-queueA
	cancel()
	<-done
	select {
	case <-queueB:
		t.Fatal("a failed job is not due again")
	default:
	}
}

func TestAnnounce(t *testing.T) {
	t.Parallel()
	for _, state := range jobs.States() {
		hub := &notify.Hub{}
		job, queue := hub.Wait(notify.Job(7)), hub.Wait(notify.Queue("q"))
		Announce(hub, store.Job{ID: 7, Queue: "q", State: state})
		require.True(t, closed(job), state)
		require.Equal(t, state == jobs.Queued || state == jobs.Errored, closed(queue), state)
	}
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
