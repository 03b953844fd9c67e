package agent

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/queueclient/frontendtest"
	"github.com/open-executor/executor/internal/worker"
)

// told is a Supervisor that keeps what it hears.
type told struct {
	mu    sync.Mutex
	heard []string
	alive func(context.Context) error
}

func (s *told) hear(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, what)
}

func (s *told) Ready(status string)    { s.hear("ready! " + status) }
func (s *told) Status(status string)   { s.hear(status) }
func (s *told) Stopping(status string) { s.hear("stopping! " + status) }

func (s *told) Watch(alive func(context.Context) error) (stop func()) {
	s.hear("watched")
	s.alive = alive
	return func() { s.hear("no longer watched") }
}

func TestTheSupervisorHearsOfADrain(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	release := filepath.Join(t.TempDir(), "go")
	frontend.Enqueue(shellJob("while [ ! -e " + release + " ]; do sleep 0.05; done"))
	supervisor := &told{}
	a := New(logtest.Scoped(t), settings(t, frontend.URL(), nil), NewTools())
	a.ReportTo(supervisor)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(t.Context()) }()
	awaitStep(t, frontend)
	a.Drain()
	a.Drain()
	require.NoError(t, os.WriteFile(release, nil, 0o600))
	require.NoError(t, <-ended)
	require.Equal(t, []string{
		"waiting for the frontend at " + frontend.URL(),
		"watched",
		"ready! ready: no job runs",
		"ready: 1 job runs",
		"stopping! draining, no new jobs are taken: 1 job runs",
		"draining, no new jobs are taken: no job runs",
		"no longer watched",
	}, supervisor.heard)
	require.NoError(t, supervisor.alive(t.Context()))
}

func TestProgressGoesForwardOnly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		steps func(*progress)
		want  []string
	}{
		"an order before the frontend answers": {func(p *progress) {
			p.enter(draining)
			p.awaits("the frontend")
			p.enter(ready)
		}, []string{"stopping! draining, no new jobs are taken: no job runs"}},
		"a second order": {func(p *progress) {
			p.enter(ready)
			p.count(1)
			p.count(1)
			p.enter(draining)
			p.enter(stopping)
			p.enter(draining)
		}, []string{
			"ready! ready: no job runs",
			"ready: 1 job runs",
			"ready: 2 jobs run",
			"stopping! draining, no new jobs are taken: 2 jobs run",
			"stopping, running jobs are ended: 2 jobs run",
		}},
		"stopped at once": {func(p *progress) {
			p.enter(stopping)
		}, []string{"stopping! stopping, running jobs are ended: no job runs"}},
	} {
		supervisor := &told{}
		test.steps(&progress{supervisor: supervisor})
		require.Equal(t, test.want, supervisor.heard, name)
	}
}

// unreachable is a frontend that answers no heartbeat.
type unreachable struct{ worker.Queue }

func (unreachable) Heartbeat(context.Context, []string) (known, stop []string, err error) {
	return nil, nil, os.ErrDeadlineExceeded
}

func TestAWorkerThatSendsHeartbeatsIsAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &contact{Queue: unreachable{}}
		alive := c.beating()
		for range 10 {
			time.Sleep(stuckAfter / 2)
			require.NoError(t, alive(t.Context()))
			_, _, err := c.Heartbeat(t.Context(), nil)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		}
		time.Sleep(stuckAfter + time.Second)
		require.EqualError(t, alive(t.Context()), "the last heartbeat ended 1m1s ago")
	})
}
