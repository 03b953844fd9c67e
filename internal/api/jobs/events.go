package jobs

import "time"

// Names of the server-sent events of a job's log. Each event's data is one JSON object of the type named beside it; an event whose
// id field is set can be resumed from: the id is "<attempt>:<offset>".
const (
	// EventAttempt: a new attempt's log begins (AttemptEvent).
	EventAttempt = "attempt"
	// EventEntry: an entry was opened (Entry).
	EventEntry = "entry"
	// EventOutput: more output of an entry (OutputEvent).
	EventOutput = "output"
	// EventExit: an entry has ended (Entry, with ExitCode and DurationMs).
	EventExit = "exit"
	// EventState: the job's state changed (StateEvent).
	EventState = "state"
	// EventEnd: the job is over and nothing follows (StateEvent). A stream that ends without it was cut.
	EventEnd = "end"
)

// AttemptEvent begins an attempt's log.
type AttemptEvent struct {
	Number    int       `json:"number"`
	Executor  string    `json:"executor"`
	StartedAt time.Time `json:"startedAt"`
}

// OutputEvent is a piece of an attempt's log.
type OutputEvent struct {
	// Entry is the entry's id.
	Entry int `json:"entry"`
	// Offset is where Text begins in the attempt's log, in bytes.
	Offset int64  `json:"offset"`
	Text   string `json:"text"`
	// Reset is set when an executor rewrote the entry: Text replaces all that came for it before.
	Reset bool `json:"reset,omitempty"`
}

// StateEvent tells a job's state.
type StateEvent struct {
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`
}
