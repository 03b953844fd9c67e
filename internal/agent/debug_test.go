package agent

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/worker"
)

// answers is a queue that always answers the same.
type answers struct {
	worker.Queue
	err error
}

func (a answers) Dequeue(context.Context) (api.Job, bool, error) {
	return api.Job{ID: 7}, a.err == nil, a.err
}

func (a answers) HoldsHeartbeats() bool { return false }

func (a answers) Heartbeat(_ context.Context, uids []string) (known, stop []string, err error) {
	return uids, nil, a.err
}

func get(handler http.Handler, path string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder
}

func TestHealthTellsTheAgeOfTheContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := &contact{Queue: answers{}}
		handler := debugHandler(prometheus.NewRegistry(), queue)
		check := func(status int, text string) {
			t.Helper()
			got := get(handler, "/healthz")
			require.Equal(t, status, got.Code)
			require.Equal(t, text, got.Body.String())
			require.Equal(t, "text/plain; charset=utf-8", got.Header().Get("Content-Type"))
		}
		check(http.StatusServiceUnavailable, "the frontend has not answered yet\n")

		job, ok, err := queue.Dequeue(t.Context())
		require.NoError(t, err)
		require.True(t, ok)
		require.EqualValues(t, 7, job.ID)
		check(http.StatusOK, "ok: the frontend answered 0s ago\n")
		<-time.After(freshFor)
		check(http.StatusOK, "ok: the frontend answered 20s ago\n")
		<-time.After(time.Second)
		check(http.StatusServiceUnavailable, "the frontend has not answered for 21s\n")

		known, _, err := queue.Heartbeat(t.Context(), []string{"7"})
		require.NoError(t, err)
		require.Equal(t, []string{"7"}, known)
		check(http.StatusOK, "ok: the frontend answered 0s ago\n")
	})
}

func TestFailuresAreNoContact(t *testing.T) {
	t.Parallel()
	broken := errors.New("no answer")
	queue := &contact{Queue: answers{err: broken}}
	_, _, err := queue.Dequeue(t.Context())
	require.ErrorIs(t, err, broken)
	_, _, err = queue.Heartbeat(t.Context(), nil)
	require.ErrorIs(t, err, broken)
	queue.touch(broken)
	fresh, age := queue.fresh()
	require.False(t, fresh)
	require.Zero(t, age)
}

func TestDebugServer(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "src_example"}))
	handler := debugHandler(registry, &contact{Queue: answers{}})
	require.Contains(t, get(handler, "/metrics").Body.String(), "src_example 0")
	require.Contains(t, get(handler, "/debug/pprof/").Body.String(), "goroutine")
	require.Contains(t, get(handler, "/debug/pprof/goroutine?debug=1").Body.String(), "goroutine profile")
	require.Equal(t, http.StatusNotFound, get(handler, "/elsewhere").Code)

	none, err := serveDebug(logtest.Scoped(t), "", handler)
	require.NoError(t, err)
	require.Nil(t, none)

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, err = serveDebug(logtest.Scoped(t), taken.Addr().String(), handler)
	require.ErrorContains(t, err, "EXECUTOR_DEBUG_ADDR: listening on ")
	require.Equal(t, fault.Operator, fault.ClassOf(err))

	served, err := serveDebug(logtest.Scoped(t), "127.0.0.1:0", handler)
	require.NoError(t, err)
	stopDebug(served)
	require.NoError(t, served.Err())
}
