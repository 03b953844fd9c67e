// Package logview shows a job's log to people: grouped by step, with durations and a summary at the end, and with the
// preparations in a line each as long as they succeed.
package logview

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/apiclient"
)

// Options change how a log is shown.
type Options struct {
	// Color allows colours, ours and those of the job's output.
	Color bool
	// Verbose shows preparations and clean-up like steps.
	Verbose bool
}

// View shows one job. It takes the events of apiclient.Client.Follow; not safe for concurrent use.
type View struct {
	w       io.Writer
	options Options
	buffer  bytes.Buffer
	attempt jobs.AttemptEvent
	// groups are the attempt's entries by id. Those before next are shown to their end; next is shown as it grows, and those
	// behind it wait: entries may overlap, and people read one after the other.
	groups map[int]*group
	next   int
	git    gitCommands
}

// group is an entry with its output.
type group struct {
	entry jobs.Entry
	// pending is output that was not shown yet; its last line may be half.
	pending []byte
	// begun: the heading was shown.
	begun bool
	exit  *jobs.Entry
}

// New makes a view that writes to w, one write per event.
func New(w io.Writer, options Options) *View {
	return &View{w: w, options: options, groups: make(map[int]*group), next: 1}
}

// Handle shows one event. Its error is the writer's.
func (v *View) Handle(event apiclient.Event) error {
	switch event.Name {
	case jobs.EventAttempt:
		v.finishAttempt()
		v.attempt = *event.Attempt
		v.groups, v.next = make(map[int]*group), 1
		v.line(dim, "attempt %d on %s", v.attempt.Number, Clean(v.attempt.Executor, false))
	case jobs.EventEntry:
		v.group(event.Entry.ID).entry = *event.Entry
	case jobs.EventOutput:
		v.output(*event.Output)
	case jobs.EventExit:
		if event.Entry.ExitCode != nil {
			g := v.group(event.Entry.ID)
			g.entry, g.exit = *event.Entry, event.Entry
		}
	case jobs.EventState:
		v.state(*event.State)
	case jobs.EventEnd:
		v.finishAttempt()
		v.summary(*event.State)
	}
	v.advance()
	_, err := v.buffer.WriteTo(v.w)
	return err
}

func (v *View) group(id int) *group {
	g, ok := v.groups[id]
	if !ok {
		g = &group{}
		v.groups[id] = g
	}
	return g
}

func (v *View) output(output jobs.OutputEvent) {
	g := v.group(output.Entry)
	if output.Reset {
		g.pending = g.pending[:0]
		if g.begun {
			v.line(dim, "(the executor wrote this step's log anew)")
		}
	}
	g.pending = append(g.pending, output.Text...)
}

func (v *View) state(state jobs.StateEvent) {
	why := ""
	if state.Reason != "" {
		why = ": " + Clean(state.Reason, false)
	}
	switch state.State {
	case jobs.Queued:
		v.finishAttempt()
		v.line(dim, "waiting for an executor%s", why)
	case jobs.Errored:
		v.finishAttempt()
		v.line(dim, "waiting for the next attempt%s", why)
	}
}

// advance shows what can be shown by now.
func (v *View) advance() {
	for {
		g, ok := v.groups[v.next]
		if !ok || g.entry.ID == 0 {
			return
		}
		v.show(g)
		if g.exit == nil {
			return
		}
		v.end(g)
		v.next++
	}
}

// finishAttempt shows what is left of an attempt whose log is over.
func (v *View) finishAttempt() {
	v.advance()
	for ; v.groups[v.next] != nil && v.groups[v.next].entry.ID != 0; v.next++ {
		g := v.groups[v.next]
		v.begin(g)
		v.lines(g, true)
		v.line(red, "--- %s: cut off", title(g.entry.Key))
	}
	v.git.flush(v)
}

// show shows the heading and the whole lines of a group; of quiet ones nothing before they fail.
func (v *View) show(g *group) {
	if v.quiet(g) {
		return
	}
	v.begin(g)
	v.lines(g, false)
}

func (v *View) begin(g *group) {
	if !g.begun {
		v.git.flush(v)
		g.begun = true
		v.line(bold, "--- %s", title(g.entry.Key))
	}
}

// end shows how a group ended.
func (v *View) end(g *group) {
	took := duration(g.exit.DurationMs)
	if v.quiet(g) && *g.exit.ExitCode == 0 {
		v.compact(g)
		return
	}
	v.begin(g)
	v.lines(g, true)
	v.line(colorOf(g.exit), "--- %s: %s, %s", title(g.entry.Key), verdict(g.exit), took)
}

// quiet groups are shown in a line as long as they succeed.
func (v *View) quiet(g *group) bool {
	return !v.options.Verbose && !strings.HasPrefix(g.entry.Key, "step.")
}

func (v *View) compact(g *group) {
	switch key := g.entry.Key; {
	case strings.HasPrefix(key, gitPrefix):
		v.git.add(g.exit)
	case strings.HasPrefix(key, "teardown."):
	default:
		v.git.flush(v)
		v.line(dim, "%s, %s", title(key), duration(g.exit.DurationMs))
	}
}

// lines shows the whole lines of a group's pending output, at its end also the last half one.
func (v *View) lines(g *group, end bool) {
	for len(g.pending) > 0 {
		line, rest, whole := bytes.Cut(g.pending, []byte{'\n'})
		if !whole && !end {
			return
		}
		g.pending = rest
		v.buffer.WriteString(Clean(withoutPrefix(string(line)), v.options.Color) + "\n")
	}
}

// withoutPrefix takes away what tells the log's lines of the two outputs of a command apart.
func withoutPrefix(line string) string {
	if rest, ok := strings.CutPrefix(line, "stdout: "); ok {
		return rest
	}
	return strings.TrimPrefix(line, "stderr: ")
}

// summary lists the steps of the last attempt.
func (v *View) summary(end jobs.StateEvent) {
	var steps []*group
	width, finished := 0, v.attempt.StartedAt
	for id := 1; v.groups[id] != nil; id++ {
		g := v.groups[id]
		if g.exit != nil && g.exit.DurationMs != nil {
			if at := g.exit.StartedAt.Add(time.Duration(*g.exit.DurationMs) * time.Millisecond); at.After(finished) {
				finished = at
			}
		}
		if strings.HasPrefix(g.entry.Key, "step.") {
			steps = append(steps, g)
			width = max(width, len(title(g.entry.Key)))
		}
	}
	color, took, why := red, "", ""
	if end.State == jobs.Completed {
		color = green
	}
	if v.attempt.Number > 0 {
		took = " after " + shortDuration(finished.Sub(v.attempt.StartedAt))
	}
	if end.Reason != "" {
		why = ": " + Clean(end.Reason, false)
	}
	v.buffer.WriteByte('\n')
	v.line(color, "job %s%s%s", end.State, took, why)
	for _, g := range steps {
		if g.exit == nil {
			v.line(red, "  %-*s  cut off", width, title(g.entry.Key))
			continue
		}
		v.line(colorOf(g.exit), "  %-*s  %s, %s", width, title(g.entry.Key), verdict(g.exit), duration(g.exit.DurationMs))
	}
}

func (v *View) line(color color, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if v.options.Color {
		text = string(color) + text + reset
	}
	v.buffer.WriteString(text + "\n")
}
