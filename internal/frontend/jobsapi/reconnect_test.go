package jobsapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/frontend/jobsapi/jobsapitest"
	"github.com/open-executor/executor/internal/store"
)

// TestReconnectsLeaveNoHole: a reader that is cut off at any event and comes back with the last id gets every byte of every
// attempt exactly once and in order, each entry before its output and its end after it, while an executor works.
func TestReconnectsLeaveNoHole(t *testing.T) {
	t.Parallel()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	rapid.Check(t, func(rt *rapid.T) {
		work := drawWork(rt)
		cuts := rapid.SliceOfN(rapid.IntRange(1, 12), 0, 12).Draw(rt, "cuts")
		spec := jobsapitest.Spec("default")
		spec.Retries = len(work)
		id := f.Submit(spec)
		before := rapid.IntRange(0, len(work)).Draw(rt, "attempts before the reader comes")
		for _, actions := range work[:before] {
			attempt(f, actions)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, actions := range work[before:] {
				attempt(f, actions)
			}
			f.Advance(time.Hour)
			f.Lease("default").Finish(store.Complete, "")
		}()
		got := readAll(t, f, id, cuts)
		<-done
		for number := 1; number <= len(work)+1; number++ {
			want := get(t, f, fmt.Sprintf("/api/v1/jobs/%d/logs?attempt=%d", id, number))
			require.Equal(rt, string(want.body), got.output[number], "attempt %d", number)
		}
		var job jobs.Job
		get(t, f, fmt.Sprintf("/api/v1/jobs/%d", id)).decode(t, &job)
		for _, a := range job.Attempts {
			for _, entry := range a.Entries {
				key := [2]int{a.Number, entry.ID}
				require.True(rt, got.opened[key], "entry %v was never announced", key)
				require.Equal(rt, entry.ExitCode != nil, got.exited[key], "end of entry %v", key)
			}
		}
	})
}

// action is one thing that an executor does to its log.
type action struct {
	entry int
	text  string
}

// drawWork draws what happens in each attempt: text for the entry of a number, which is opened when it is new, and ended when the
// text is empty.
func drawWork(t *rapid.T) [][]action {
	text := rapid.StringMatching(`[a-zü😀\n]{0,20}`)
	actions := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) action {
		return action{rapid.IntRange(1, 4).Draw(t, "entry"), text.Draw(t, "text")}
	}), 0, 15)
	return rapid.SliceOfN(actions, 0, 3).Draw(t, "work")
}

func attempt(f *jobsapitest.Frontend, actions []action) {
	f.Advance(time.Hour)
	run := f.Lease("default")
	opened, ended := 0, make(map[int]bool)
	for _, a := range actions {
		if a.entry > opened {
			opened++
			a.entry = run.Open(fmt.Sprintf("step.docker.%d", opened))
		}
		switch {
		case ended[a.entry]:
		case a.text == "":
			ended[a.entry] = true
			run.Exit(a.entry, 0)
		default:
			run.Write(a.entry, a.text)
		}
	}
	run.Finish(store.Errored, "again")
}

// history is what a reader got over all its connections.
type history struct {
	output         map[int]string
	opened, exited map[[2]int]bool
}

// readAll follows a job to its end; its nth connection is cut after cuts[n] events.
func readAll(t *testing.T, f *jobsapitest.Frontend, id int64, cuts []int) history {
	h := history{make(map[int]string), make(map[[2]int]bool), make(map[[2]int]bool)}
	lastID, number := "", 0
	for {
		s := open(t, f, fmt.Sprintf("/api/v1/jobs/%d/logs", id), lastID)
		left := -1
		if len(cuts) > 0 {
			left, cuts = cuts[0], cuts[1:]
		}
		for ; left != 0; left-- {
			e, ok := s.next()
			require.True(t, ok, "cut by the frontend")
			if e.id != "" {
				lastID = e.id
			}
			switch e.name {
			case jobs.EventAttempt:
				number = as[jobs.AttemptEvent](t, e).Number
			case jobs.EventEntry:
				h.opened[[2]int{number, as[jobs.Entry](t, e).ID}] = true
			case jobs.EventOutput:
				output := as[jobs.OutputEvent](t, e)
				key := [2]int{number, output.Entry}
				require.True(t, h.opened[key], "output before its entry")
				require.False(t, h.exited[key], "output after its entry's end")
				require.EqualValues(t, len(h.output[number]), output.Offset, "a hole, or a repeat")
				require.True(t, strings.HasSuffix(e.id, fmt.Sprint(int(output.Offset)+len(output.Text))))
				h.output[number] += output.Text
			case jobs.EventExit:
				h.exited[[2]int{number, as[jobs.Entry](t, e).ID}] = true
			case jobs.EventEnd:
				s.close()
				return h
			}
		}
		s.close()
	}
}
