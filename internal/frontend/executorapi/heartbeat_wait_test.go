package executorapi

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/frontend/notify"
)

const heartbeatOfDefault = "/.executors/queue/default/heartbeat"

// leased returns a handler with a job, 42, that ex-1 has leased.
func leased(t *testing.T) (*Handler, *memory, *notify.Hub) {
	t.Helper()
	queue, hub := newMemory(spec("default")), &notify.Hub{}
	h := newHandler(t, queue, hub, Config{})
	require.Equal(t, 200, (<-start(h, t.Context(), dequeueOfDefault, asOne)).Code)
	return h, queue, hub
}

func TestHeartbeatIsHeldUntilACancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, queue, hub := leased(t)
		began := time.Now()
		answered := start(h, t.Context(), heartbeatOfDefault, `{"executorName":"ex-1","jobIds":[42]}`, "Prefer: wait=5")
		time.Sleep(2 * time.Second)
		// Something of another executor, or of this one's that is no cancel, holds it on.
		hub.Wake(notify.Executor("ex-2"))
		hub.Wake(notify.Executor("ex-1"))
		time.Sleep(time.Second)
		queue.change(42, func(job *held) { job.Cancel = true })
		hub.Wake(notify.Executor("ex-1"))
		got := <-answered
		require.Equal(t, 3*time.Second, time.Since(began))
		require.JSONEq(t, `{"knownIds":["42"],"cancelIds":["42"]}`, got.Body.String())
	})
}

func TestHowLongAHeartbeatIsHeld(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body, prefer string
		want         time.Duration
	}{
		"as long as asked":        {`{"executorName":"ex-1","jobIds":[42]}`, "wait=5", 5 * time.Second},
		"ten seconds at most":     {`{"executorName":"ex-1","jobIds":[42]}`, "wait=600", maxHold},
		"not unasked":             {`{"executorName":"ex-1","jobIds":[42]}`, "", 0},
		"not without jobs":        {`{"executorName":"ex-1","jobIds":null}`, "wait=5", 0},
		"not with a job not held": {`{"executorName":"ex-1","jobIds":[42,43]}`, "wait=5", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h, _, _ := leased(t)
				began := time.Now()
				got := <-start(h, t.Context(), heartbeatOfDefault, test.body, "Prefer: "+test.prefer)
				require.Equal(t, 200, got.Code)
				require.Equal(t, test.want, time.Since(began))
			})
		})
	}
}

func TestHeldHeartbeatEndsEarly(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*Handler, context.CancelFunc){
		"when the server stops":      func(h *Handler, _ context.CancelFunc) { h.Stop() },
		"when the executor goes off": func(_ *Handler, leave context.CancelFunc) { leave() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h, _, _ := leased(t)
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				answered := start(h, ctx, heartbeatOfDefault, `{"executorName":"ex-1","jobIds":[42]}`, "Prefer: wait=5")
				synctest.Wait()
				began := time.Now()
				end(h, leave)
				got := <-answered
				require.Zero(t, time.Since(began))
				require.JSONEq(t, `{"knownIds":["42"],"cancelIds":[]}`, got.Body.String())
			})
		})
	}
}
