package worker

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/runtime"
)

// Jobs that are there from the beginning are in the first heartbeat, take slots, and have the rest of their time.
func TestResumedJobs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 7})
		began := time.Now()
		time.Sleep(time.Minute)
		left := make(chan time.Duration, 2)
		resumed := func(id int64) Resumed {
			return Resumed{Job: api.Job{ID: id}, Began: began, Handle: func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				left <- time.Until(deadline)
				<-ctx.Done()
				return context.Cause(ctx)
			}}
		}
		_, ended := start(t, queue, func(ctx context.Context, job api.Job) error { return nil }, Config{
			Slots: 1, PollInterval: time.Second, MaxRuntime: 90 * time.Second, TotalJobs: 1, Resumed: []Resumed{resumed(1), resumed(2)},
		})
		synctest.Wait()
		require.Equal(t, [][]string{{"1", "2"}}, queue.beatsSoFar())
		for range 2 {
			require.Equal(t, 30*time.Second, <-left)
		}
		require.Empty(t, queue.reported("7"), "there is no slot yet")
		time.Sleep(31 * time.Second)
		synctest.Wait()
		for _, uid := range []string{"1", "2"} {
			require.Contains(t, queue.reported(uid)[0].Message, "job exceeded maximum execution time of 1m30s")
		}
		<-ended
		require.Len(t, queue.reported("7"), 1)
	})
}

// A job that another executor has taken over is that one's to report.
func TestATakenJobIsNotReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFakeQueue(api.Job{ID: 1})
		_, ended := start(t, queue, func(context.Context, api.Job) error {
			return fmt.Errorf("another executor has it: %w", runtime.ErrLeaseLost)
		}, Config{Slots: 1, PollInterval: time.Second, TotalJobs: 1})
		<-ended
		require.Empty(t, queue.reported("1"))
	})
}
