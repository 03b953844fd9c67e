package apiclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
)

// Position is a place in a job's log: an attempt, and an offset in its bytes. The zero value is the beginning.
type Position struct {
	Attempt int
	Offset  int64
}

// Event is one event of a job's log.
type Event struct {
	// Name is one of the names in package jobs; it tells which of the members is set.
	Name    string
	Attempt *jobs.AttemptEvent
	Entry   *jobs.Entry
	Output  *jobs.OutputEvent
	State   *jobs.StateEvent
	// Data is the event as it came.
	Data json.RawMessage
}

const (
	firstWait   = time.Second
	longestWait = 15 * time.Second
)

var (
	// errCut is a stream that ended before the job did.
	errCut = errors.New("the stream ended before the job did")
	// errSilent is a stream without signs of life.
	errSilent = errors.New("the stream went silent")
)

// Follow reads a job's log from a position on until the job is over, and returns its final state. Handle gets each event
// once and in order, on the caller's goroutine; an error of it ends the following and is returned as it is. Cut streams are
// continued where they broke off; a frontend that can't be reached at first, or for Config.GiveUp in all between two events, is an
// UnreachableError. When ctx ends, its cause is returned.
func (c *Client) Follow(ctx context.Context, id int64, from Position, handle func(Event) error) (jobs.StateEvent, error) {
	f := following{client: c, id: id, at: from, handle: handle, retry: firstWait}
	var waited time.Duration
	pause := f.retry
	for {
		f.moved = false
		end, err := f.connect(ctx)
		if f.moved {
			waited, pause = 0, f.retry
		}
		switch {
		case err == nil:
			return *end, nil
		case ctx.Err() != nil:
			return jobs.StateEvent{}, context.Cause(ctx)
		case !worthAnother(err) || !f.connected:
			return jobs.StateEvent{}, err
		case waited >= c.config.GiveUp:
			return jobs.StateEvent{}, c.unreachable(ctx, fmt.Errorf("given up after %s: %w", waited, err))
		}
		if err := c.config.Wait(ctx, pause); err != nil {
			return jobs.StateEvent{}, err
		}
		waited += pause
		pause = min(2*pause, longestWait)
	}
}

// worthAnother reports whether a connection that ended with err may work the next time.
func worthAnother(err error) bool {
	var answered *Error
	var unreachable *UnreachableError
	if errors.As(err, &answered) {
		return answered.Status/100 == 5 || answered.Status == http.StatusTooManyRequests
	}
	return errors.As(err, &unreachable)
}

// following is the state of one Follow over all its connections.
type following struct {
	client *Client
	id     int64
	at     Position
	handle func(Event) error
	retry  time.Duration
	// connected: a stream was open once. moved: the present one brought an event.
	connected, moved bool
	seen             seen
}

// connect reads one stream to its end. A nil error comes with the job's final state.
func (f *following) connect(ctx context.Context) (*jobs.StateEvent, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	header := http.Header{"Accept": {"text/event-stream"}}
	if f.at.Attempt > 0 {
		header.Set("Last-Event-ID", fmt.Sprintf("%d:%d", f.at.Attempt, f.at.Offset))
	}
	silence := time.AfterFunc(f.client.config.Idle, func() { cancel(errSilent) })
	defer silence.Stop()
	got, err := f.client.send(ctx, http.MethodGet, jobPath(f.id)+"/logs", nil, header)
	if err != nil {
		return nil, f.broken(ctx, err)
	}
	defer got.Body.Close()
	if !isType(got, "text/event-stream") {
		return nil, foreign(got)
	}
	f.connected = true
	stream := newFrames(got.Body, func() { silence.Reset(f.client.config.Idle) })
	for {
		next, err := stream.next()
		if stream.retry > 0 {
			f.retry = stream.retry
		}
		if errors.Is(err, io.EOF) {
			err = errCut
		}
		if err != nil {
			return nil, f.broken(ctx, err)
		}
		end, err := f.take(next)
		if end != nil || err != nil {
			return end, err
		}
	}
}

// broken makes a broken stream one that is worth another try; Follow sorts out the end of its own context.
func (f *following) broken(ctx context.Context, err error) error {
	if context.Cause(ctx) == errSilent {
		err = errSilent
	}
	var answered *Error
	var unreachable *UnreachableError
	if errors.As(err, &answered) || errors.As(err, &unreachable) {
		return err
	}
	return f.client.unreachable(context.Background(), err)
}

// take handles one event, and returns the job's final state when it was the last.
func (f *following) take(next frame) (*jobs.StateEvent, error) {
	event, err := decode(next)
	if err != nil {
		return nil, err
	}
	f.moved = true
	if event.Name != "" && f.seen.isNew(event) {
		if err := f.handle(event); err != nil {
			return nil, err
		}
	}
	// Only now: what was not handled must come again.
	if at, ok := parsePosition(next.id); ok {
		f.at = at
	}
	if event.Name == jobs.EventEnd {
		return event.State, nil
	}
	return nil, nil
}

func parsePosition(id string) (Position, bool) {
	first, second, _ := strings.Cut(id, ":")
	attempt, err1 := strconv.Atoi(first)
	offset, err2 := strconv.ParseInt(second, 10, 64)
	return Position{attempt, offset}, err1 == nil && err2 == nil && attempt > 0 && offset >= 0
}

// decode reads an event; those of unknown names, of a newer frontend, come out without a name.
func decode(next frame) (Event, error) {
	event := Event{Name: next.event, Data: json.RawMessage(next.data)}
	var into any
	switch next.event {
	case jobs.EventAttempt:
		event.Attempt = new(jobs.AttemptEvent)
		into = event.Attempt
	case jobs.EventEntry, jobs.EventExit:
		event.Entry = new(jobs.Entry)
		into = event.Entry
	case jobs.EventOutput:
		event.Output = new(jobs.OutputEvent)
		into = event.Output
	case jobs.EventState, jobs.EventEnd:
		event.State = new(jobs.StateEvent)
		into = event.State
	default:
		return Event{}, nil
	}
	if err := json.Unmarshal([]byte(next.data), into); err != nil {
		return Event{}, fmt.Errorf("the frontend sent an event %q that can't be read: %w", next.event, err)
	}
	return event, nil
}
