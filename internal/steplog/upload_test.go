package steplog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
)

// down fails calls that begin with prefix until a moment.
func down(prefix string, until time.Time) func(context.Context, string) error {
	return func(_ context.Context, call string) error {
		if strings.HasPrefix(call, prefix) && time.Now().Before(until) {
			return errDown
		}
		return nil
	}
}

func TestAddIsRetriedInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{})
		b.frontend.setFail(down("add", time.Now().Add(10*time.Second)))
		first := b.Open("first", nil)
		second := b.Open("second", nil)
		write(t, first.Stdout(), "kept\n")
		first.Close(0)
		second.Close(0)
		b.flush(t)
		calls := b.frontend.takeCalls()
		require.Equal(t, []string{"add first", "add first", "add first", "add first", "add first", "add first", "add first"},
			withoutExitCode(calls[:7]), "after 0.25, 0.75, 1.75, 3.75, 7.75 and 12.75 s")
		require.Equal(t, "add second 0", calls[len(calls)-1])
		require.Equal(t, "stdout: kept\n", b.frontend.entry(1).Out)
		require.Equal(t, 0, *b.frontend.entry(1).ExitCode)
		require.Len(t, b.frontend.entries, 2)
	})
}

func withoutExitCode(calls []string) []string {
	var out []string
	for _, call := range calls {
		out = append(out, strings.TrimSuffix(call, " 0"))
	}
	return out
}

func TestAddGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{RetryFor: 10 * time.Second})
		b.frontend.setFail(down("add", time.Now().Add(time.Hour)))
		began := time.Now()
		first := b.Open("first", nil)
		advance(10 * time.Second)
		require.Len(t, b.frontend.takeCalls(), 6)
		write(t, first.Stdout(), "is dropped\n")
		require.Empty(t, first.(*entry).buffer.data)
		first.Close(0)
		second := b.Open("second", nil)
		second.Close(0)
		advance(time.Second)
		require.Equal(t, []string{"add second 0"}, b.frontend.takeCalls(), "one attempt while the outage lasts, no update of what was not added")
		b.frontend.setFail(nil)
		third := b.Open("third", nil)
		third.Close(0)
		err := b.Flush(t.Context())
		require.EqualError(t, err, "log entry \"first\": adding it to the frontend: frontend is down\n"+
			"log entry \"second\": adding it to the frontend: frontend is down")
		require.ErrorIs(t, err, errDown)
		require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
		require.Equal(t, "third", b.frontend.entry(1).Key)
		require.Less(t, time.Since(began), 12*time.Second)
	})
}

func TestEachOutageIsRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{RetryFor: 10 * time.Second})
		for i := range 3 {
			b.frontend.setFail(down("add", time.Now().Add(7*time.Second)))
			b.Open(fmt.Sprint(i), nil).Close(0)
			advance(20 * time.Second)
		}
		b.flush(t)
		require.Len(t, b.frontend.entries, 3)
	})
}

func TestRefusalIsFinal(t *testing.T) {
	t.Parallel()
	for _, refusal := range []error{fault.Userf("no such job"), fault.Operatorf("wrong token")} {
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, nil, Options{})
			b.frontend.setFail(func(context.Context, string) error { return refusal })
			b.Open("first", nil).Close(0)
			err := b.Flush(t.Context())
			require.ErrorIs(t, err, refusal)
			require.Equal(t, fault.Infrastructure, fault.ClassOf(err), "the job's author can't mend it")
			require.Equal(t, []string{"add first 0"}, b.frontend.takeCalls())
		})
	}
}

func TestUpdateFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{})
		entry := b.Open("step", nil)
		synctest.Wait()
		b.frontend.setFail(down("update", time.Now().Add(3500*time.Millisecond)))
		write(t, entry.Stdout(), "one\n")
		advance(3 * time.Second)
		require.Equal(t, []string{"add step", "update step", "update step", "update step"}, b.frontend.takeCalls(), "the next tick tries again")
		advance(time.Second)
		require.Equal(t, "stdout: one\n", b.frontend.entry(1).Out)
		b.frontend.takeCalls()

		b.frontend.setFail(down("update", time.Now().Add(time.Second)))
		entry.Close(1)
		b.flush(t)
		require.Equal(t, []string{"update step 1", "update step 1", "update step 1", "update step 1"}, b.frontend.takeCalls())
		require.Equal(t, 1, *b.frontend.entry(1).ExitCode)
	})
}

func TestLastUpdateGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{})
		entry := b.Open("step", nil)
		synctest.Wait()
		b.frontend.setFail(down("update", time.Now().Add(time.Hour)))
		entry.Close(1)
		began := time.Now()
		require.EqualError(t, b.Flush(t.Context()), `log entry "step": its last update at the frontend: frontend is down`)
		require.LessOrEqual(t, time.Since(began), time.Minute)
	})
}

func TestFailedUpdatesLeaveTimeForTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{})
		entry := b.Open("step", nil)
		synctest.Wait()
		b.frontend.setFail(down("update", time.Now().Add(2*time.Minute)))
		write(t, entry.Stdout(), "one\n")
		advance(100 * time.Second)
		entry.Close(1)
		b.flush(t)
		require.Equal(t, 1, *b.frontend.entry(1).ExitCode)
	})
}

func TestSlowUpdatesRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{})
		entry := b.Open("step", nil)
		synctest.Wait()
		b.frontend.setFail(func(context.Context, string) error {
			<-time.After(3 * time.Second)
			return nil
		})
		for range 60 {
			write(t, entry.Stdout(), "line\n")
			advance(time.Second)
		}
		require.Len(t, b.frontend.takeCalls(), 1+4, "one addition, and one update of 3 s each 15 s")
		entry.Close(0)
		b.flush(t)
	})
}

func TestOrderDuringASlowUpdate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{})
		first := b.Open("first", nil)
		synctest.Wait()
		b.frontend.setFail(func(context.Context, string) error {
			<-time.After(3 * time.Second)
			return nil
		})
		write(t, first.Stdout(), "one\n")
		advance(2 * time.Second)
		write(t, first.Stdout(), "two\n")
		first.Close(0)
		b.Open("second", nil).Close(0)
		b.flush(t)
		require.Equal(t, []string{"add first", "update first", "update first 0", "add second 0"}, b.frontend.takeCalls())
		require.Equal(t, "stdout: one\nstdout: two\n", b.frontend.entry(1).Out)
	})
}

func TestHangingCallsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{CallTimeout: 5 * time.Second, RetryFor: 20 * time.Second})
		b.frontend.setFail(func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		})
		b.Open("step", nil).Close(0)
		began := time.Now()
		err := b.Flush(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.LessOrEqual(t, time.Since(began), 30*time.Second)
	})
}

func TestFlushEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{})
		b.frontend.setFail(func(ctx context.Context, call string) error {
			if call == "add fine 0" {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		b.Open("fine", nil).Close(0)
		b.Open("first", nil).Close(0)
		b.Open("second", nil).Close(0)
		tooLate := errors.New("too late")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 7*time.Second, tooLate)
		defer cancel()
		began := time.Now()
		err := b.Flush(ctx)
		require.Equal(t, 7*time.Second, time.Since(began))
		require.ErrorIs(t, err, tooLate)
		want := "log entry \"first\": not all of it was sent in time: too late\nlog entry \"second\": not all of it was sent in time: too late"
		require.EqualError(t, err, want)
		synctest.Wait()
		require.EqualError(t, b.Flush(t.Context()), want, "asked again")
		require.Equal(t, []string{"add fine 0", "add first 0"}, b.frontend.takeCalls())
	})
}

func TestFlushDuringBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{})
		b.frontend.setFail(down("", time.Now().Add(time.Hour)))
		b.Open("first", nil)
		advance(5 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, b.Flush(ctx), context.DeadlineExceeded)
	})
}

func TestFlushClosesOpenEntries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, map[string]string{"secret": "X"}, Options{})
		entry := b.Open("step", nil)
		write(t, entry.Stdout(), "half a secre")
		advance(2 * time.Second)
		b.flush(t)
		last := b.frontend.entry(1)
		require.Equal(t, -1, *last.ExitCode)
		require.Equal(t, 2000, *last.DurationMs)
		require.Equal(t, "stdout: half a secre\n[log] The job ended while this was still open.\n", last.Out)
		entry.Close(0)
		require.NoError(t, b.Flush(t.Context()))
		require.Equal(t, last, b.frontend.entry(1))
	})
}

func TestNothingAfterFlush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{MaxPending: 1})
		b.flush(t)
		for i := range 3 {
			entry := b.Open(fmt.Sprint(i), nil)
			write(t, entry, "text")
			write(t, entry.Stderr(), "text")
			entry.Close(0)
		}
		require.NoError(t, b.Flush(t.Context()))
		require.Empty(t, b.frontend.takeCalls())
	})
}
