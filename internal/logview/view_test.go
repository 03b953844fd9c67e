package logview_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/apiclient"
	"github.com/open-executor/executor/internal/logview"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func attempt(number int) apiclient.Event {
	return apiclient.Event{Name: jobs.EventAttempt, Attempt: &jobs.AttemptEvent{Number: number, Executor: "executor-1", StartedAt: began}}
}

func entry(id int, key string) apiclient.Event {
	return apiclient.Event{Name: jobs.EventEntry, Entry: &jobs.Entry{ID: id, Key: key, StartedAt: began.Add(time.Duration(id) * time.Second)}}
}

func output(id int, text string) apiclient.Event {
	return apiclient.Event{Name: jobs.EventOutput, Output: &jobs.OutputEvent{Entry: id, Text: text}}
}

func rewrite(id int, text string) apiclient.Event {
	event := output(id, text)
	event.Output.Reset = true
	return event
}

func exit(id int, key string, code, ms int) apiclient.Event {
	event := entry(id, key)
	event.Name, event.Entry.ExitCode, event.Entry.DurationMs = jobs.EventExit, &code, &ms
	return event
}

func state(name string, state jobs.State, reason string) apiclient.Event {
	return apiclient.Event{Name: name, State: &jobs.StateEvent{State: state, Reason: reason}}
}

// step is a whole entry.
func step(id int, key, text string, code, ms int) []apiclient.Event {
	return []apiclient.Event{entry(id, key), output(id, text), exit(id, key, code, ms)}
}

func events(parts ...any) (all []apiclient.Event) {
	for _, part := range parts {
		switch part := part.(type) {
		case apiclient.Event:
			all = append(all, part)
		case []apiclient.Event:
			all = append(all, part...)
		}
	}
	return all
}

// logs are what the golden files show.
var logs = map[string]struct {
	options logview.Options
	events  []apiclient.Event
}{
	"completed": {events: events(
		state(jobs.EventState, jobs.Queued, ""), state(jobs.EventState, jobs.Processing, ""), attempt(1),
		step(1, "setup.git.init", "stdout: Initialized\n", 0, 12), step(2, "setup.git.fetch", "stderr: remote: 5%\rremote: 100%\n", 0, 400),
		step(3, "setup.fs.extras", "Wrote a in 1ms\n", 0, 2),
		step(4, "step.docker.build", "stderr: + make\nstdout: over\nstdout: stdout: twice\nstdout: \nno prefix\n", 0, 1234),
		step(5, "step.docker.report", "stdout: done", 0, 65_000), step(6, "step.src.upload", "", 0, 3_723_000), step(7, "teardown.fs", "", 0, 5),
		state(jobs.EventEnd, jobs.Completed, ""),
	)},
	"failed": {events: events(
		attempt(1), step(1, "step.docker.build", "stdout: no\n", 2, 800), step(2, "teardown.fs", "", 0, 5),
		state(jobs.EventEnd, jobs.Failed, `step "build" ended with exit code 2`),
	)},
	"setup failed": {events: events(
		attempt(1), step(1, "setup.git.init", "", 0, 10), step(2, "setup.git.fetch", "stderr: fatal: no such ref\n", 128, 300), step(3, "teardown.fs", "stderr: busy\n", 1, 5),
		state(jobs.EventEnd, jobs.Failed, "failed setup.git.fetch: command failed with exit code 128"),
	)},
	"two attempts": {events: events(
		attempt(1), entry(1, "step.docker.build"), output(1, "stdout: half a li"), state(jobs.EventState, jobs.Queued, "the executor was lost"),
		attempt(2), step(1, "step.docker.build", "stdout: whole\n", 1, 10), state(jobs.EventState, jobs.Errored, "exit code 1"),
		attempt(3), step(1, "step.docker.build", "stdout: whole\n", 0, 10),
		state(jobs.EventEnd, jobs.Completed, ""),
	)},
	"overlapping": {events: events(
		attempt(1), entry(1, "step.docker.a"), output(1, "stdout: a1\n"), entry(2, "step.docker.b"), output(2, "stdout: b1\n"), output(1, "stdout: a2\n"),
		exit(2, "step.docker.b", 0, 20), exit(1, "step.docker.a", 0, 10),
		state(jobs.EventEnd, jobs.Completed, ""),
	)},
	"rewritten": {events: events(
		attempt(1), entry(1, "step.docker.a"), output(1, "stdout: secret\n"), rewrite(1, "stdout: ******\n"), exit(1, "step.docker.a", 0, 10),
		entry(3, "step.docker.c"), output(3, "stdout: secret\n"), rewrite(3, "stdout: ******\n"), exit(3, "step.docker.c", 0, 10), step(2, "step.docker.b", "", 0, 1),
		state(jobs.EventEnd, jobs.Completed, ""),
	)},
	"canceled before it began": {events: events(state(jobs.EventState, jobs.Queued, ""), state(jobs.EventEnd, jobs.Canceled, "canceled"))},
	"colours": {options: logview.Options{Color: true}, events: events(
		attempt(1), step(1, "setup.git.init", "", 0, 10), step(2, "step.docker.a", "stdout: \x1b[32mgreen\x1b[0m \x1b[2J\x1b]0;title\x07\x1b[31mred\n", 0, 10),
		step(3, "step.docker.b", "", 1, 10), state(jobs.EventEnd, jobs.Failed, ""),
	)},
	"without colours": {events: events(
		attempt(1), step(1, "step.docker.a", "stdout: \x1b[32mgreen\x1b[0m\x1b[1;1H\x07 bell\x1b]0;title\x1b\\ \x1bc\xff\x1bé tab\tend\n", 0, 10),
		state(jobs.EventEnd, jobs.Completed, ""),
	)},
	"verbose": {options: logview.Options{Verbose: true}, events: events(
		attempt(1), step(1, "setup.git.init", "stdout: Initialized\n", 0, 10), step(2, "setup.fs.extras", "Wrote a in 1ms\n", 0, 2),
		step(3, "step.kubernetes.0", "", 0, 1), step(4, "teardown.fs", "", 0, 5),
		state(jobs.EventEnd, jobs.Completed, ""),
	)},
}

func show(t require.TestingT, options logview.Options, all []apiclient.Event) string {
	var out bytes.Buffer
	view := logview.New(&out, options)
	for _, event := range all {
		require.NoError(t, view.Handle(event))
	}
	return out.String()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, log := range logs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := show(t, log.options, log.events)
			file := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".golden")
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

// TestPiecesDoNotShow: in which pieces output arrives makes no difference.
func TestPiecesDoNotShow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`((stdout: |stderr: )?[a-zü\r]{0,8}\n?){0,8}`).Draw(t, "text")
		whole := events(attempt(1), step(1, "step.docker.a", text, 0, 1), state(jobs.EventEnd, jobs.Completed, ""))
		pieces := events(attempt(1), entry(1, "step.docker.a"))
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			pieces, rest = append(pieces, output(1, rest[:n])), rest[n:]
		}
		pieces = append(pieces, exit(1, "step.docker.a", 0, 1), state(jobs.EventEnd, jobs.Completed, ""))
		require.Equal(t, show(t, logview.Options{}, whole), show(t, logview.Options{}, pieces))
	})
}

// TestLive: whole lines are shown as soon as they are there.
func TestLive(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	view := logview.New(&out, logview.Options{})
	for _, want := range []struct {
		event apiclient.Event
		shown string
	}{
		{attempt(1), "attempt 1 on executor-1\n"},
		{entry(1, "step.docker.a"), "--- a\n"},
		{output(1, "stdout: one\nstdout: tw"), "one\n"},
		{output(1, "o\n"), "two\n"},
		{exit(1, "step.docker.a", 0, 5), "--- a: ok, 5ms\n"},
	} {
		out.Reset()
		require.NoError(t, view.Handle(want.event))
		require.Equal(t, want.shown, out.String())
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWriterErrors(t *testing.T) {
	t.Parallel()
	require.EqualError(t, logview.New(broken{}, logview.Options{}).Handle(attempt(1)), "disk full")
}

// FuzzOutput: whatever a job writes, no control character but tabs, line ends and colours reaches the terminal.
func FuzzOutput(f *testing.F) {
	f.Add("stdout: \x1b[31mred\x1b[0m\r\n\x1b]0;t\x07", true)
	f.Add("\x1b[\x1b[2Jm\x9b2J\xc2\x9b2J", false)
	f.Fuzz(func(t *testing.T, text string, color bool) {
		got := show(t, logview.Options{Color: color}, events(attempt(1), step(1, "step.docker.a", text, 0, 1)))
		for rest := got; rest != ""; {
			at := strings.IndexFunc(rest, func(r rune) bool { return r < 0x20 && r != '\t' && r != '\n' || r >= 0x7f && r < 0xa0 })
			if at < 0 {
				return
			}
			require.True(t, color, "%q", got)
			require.Regexp(t, `^\x1b\[[0-9;:]*m`, rest[at:])
			rest = rest[at+1:]
		}
	})
}
