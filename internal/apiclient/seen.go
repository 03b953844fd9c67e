package apiclient

import "github.com/open-executor/executor/internal/api/jobs"

// seen recognizes the events that a frontend sends again after a reconnect. Output never comes again.
type seen struct {
	attempt        int
	opened, exited map[int]bool
	state          *jobs.StateEvent
}

func (s *seen) isNew(event Event) bool {
	switch event.Name {
	case jobs.EventAttempt:
		if event.Attempt.Number <= s.attempt {
			return false
		}
		s.attempt = event.Attempt.Number
		s.opened, s.exited = make(map[int]bool), make(map[int]bool)
	case jobs.EventEntry:
		return first(&s.opened, event.Entry.ID)
	case jobs.EventExit:
		return first(&s.exited, event.Entry.ID)
	case jobs.EventState:
		if s.state != nil && *s.state == *event.State {
			return false
		}
		s.state = event.State
	}
	return true
}

// first notes an id and reports whether it is new.
func first(ids *map[int]bool, id int) bool {
	if *ids == nil {
		*ids = make(map[int]bool)
	}
	had := (*ids)[id]
	(*ids)[id] = true
	return !had
}
