package steplog

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/mask"
)

// die ends a log as a killed process does: nothing more is sent.
func (b bundle) die(t *testing.T) []Record {
	b.Abandon(errors.New("killed"))
	records := b.Records()
	require.Error(t, b.Flush(context.Background()))
	return records
}

// after is the log of a later process.
func (b bundle) after(t *testing.T, records []Record) bundle {
	later := bundle{New(b.frontend, mask.New(nil), Options{Records: records}), b.frontend}
	t.Cleanup(func() { later.flush(t) })
	return later
}

func TestALaterLogGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		changed := 0
		b := setup(t, nil, Options{Changed: func() { changed++ }})
		setUp := b.Open("setup.git", nil)
		write(t, setUp, "cloned\n")
		setUp.Close(0)
		synctest.Wait()
		step := b.Open("step.0", []string{"sh"})
		write(t, step, "waiting\n")
		write(t, step.Stdout(), "one\ntwo\n")
		write(t, step, "a later note\n")
		advance(time.Second)
		started := b.frontend.entry(2).StartTime
		require.Equal(t, []Record{
			{Key: "setup.git", ID: 1, Started: b.frontend.entry(1).StartTime, Notes: "cloned\n", Done: true}, {Key: "step.0", ID: 2, Started: started, Notes: "waiting\n"},
		}, b.Records())
		require.Positive(t, changed)
		records := b.die(t)
		b.frontend.takeCalls()

		advance(time.Minute)
		later := b.after(t, records)
		write(t, later.Open("setup.git", nil), "again") // takes nothing
		step = later.Open("step.0", []string{"sh"})
		release := step.(*entry).Hold()
		write(t, step.Stdout(), "one\n")
		advance(time.Minute)
		require.Empty(t, b.frontend.takeCalls(), "held back, it isn't shorter for a moment")
		write(t, step.Stdout(), "two\n")
		write(t, step.Stdout(), "three\n")
		release()
		advance(time.Second)
		require.Equal(t, []string{"update step.0"}, b.frontend.takeCalls())
		step.Close(0)
		again := later.Open("step.0", nil)
		again.Close(1)
		later.flush(t)
		require.Equal(t, []string{"update step.0 0", "add step.0 1"}, b.frontend.takeCalls(), "a second entry of a key is its own")
		require.Equal(t, "waiting\nstdout: one\nstdout: two\nstdout: three\n", b.frontend.entry(2).Out)
		require.Equal(t, started, b.frontend.entry(2).StartTime)
		require.Len(t, later.Records(), 3)
		require.True(t, later.Records()[2].Done)
	})
}

// An entry whose addition nobody knows of is added with the start time that it had, by which a frontend knows it.
func TestALaterLogAddsWhatMayBeThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{})
		b.frontend.setFail(func(context.Context, string) error { return errDown })
		b.Open("step.0", nil)
		synctest.Wait()
		records := b.die(t)
		require.Zero(t, records[0].ID)
		b.frontend.setFail(nil)
		advance(time.Minute)
		later := b.after(t, records)
		step := later.Open("step.0", nil)
		release := step.(*entry).Hold()
		synctest.Wait()
		require.NotContains(t, b.frontend.takeCalls(), "add step.0 0")
		require.Empty(t, b.frontend.entries)
		release()
		synctest.Wait()
		require.True(t, records[0].Started.Equal(b.frontend.entry(1).StartTime))
		later.flush(t)
	})
}

func TestSync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{})
		b.frontend.setFail(func(context.Context, string) error { return errDown })
		b.Open("open", nil)
		b.Open("closed", nil).Close(0)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		require.ErrorIs(t, b.Sync(ctx), context.DeadlineExceeded)
		b.frontend.setFail(nil)
		require.NoError(t, b.Sync(t.Context()))
		require.Equal(t, "closed", b.frontend.entry(2).Key)
		b.flush(t)
		require.NoError(t, b.Sync(t.Context()))
	})
}
