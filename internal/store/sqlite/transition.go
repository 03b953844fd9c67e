package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store/machine"
)

// happen lets an event other than Submit, Lease and Renew happen to a record, stores it and, when the event ends the attempt, that
// too. It returns false when the record's state does not know the event.
func (s *Store) happen(ctx context.Context, tx *sql.Tx, r *record, event machine.Event, message string) (bool, error) {
	now, tick := s.clock.now(), s.clock.tick()
	life := r.life(tick)
	arrow, ok := machine.Next(life, event)
	if !ok {
		return false, nil
	}
	r.Reason = life.Reason(arrow, machine.Attempt{
		Number:   r.attempt,
		Executor: r.Executor,
		Message:  message,
		HeardAt:  s.clock.wall().Add(time.Duration(r.heard-tick) * time.Millisecond),
	})
	if message == "" && arrow.To != jobs.Completed {
		message = r.Reason
	}
	if arrow.Cause != machine.Runs {
		r.token, r.heard = nil, tick
		_, err := tx.ExecContext(ctx, `UPDATE attempts SET ended_at = ?, cause = ?, message = ? WHERE job_id = ? AND number = ?`,
			now, arrow.Cause, message, r.ID, r.attempt)
		if err != nil {
			return true, err
		}
	}
	switch arrow.Counts {
	case machine.Failures:
		r.Failures++
	case machine.Resets:
		r.Resets++
	}
	switch {
	case arrow.To == jobs.Queued:
		r.queued, r.started, r.due = now, sql.NullInt64{}, tick
	case arrow.To == jobs.Errored:
		r.due = tick + machine.RetryDelay(s.options.RetryDelay, life.Failures).Milliseconds()
	case arrow.To.Final():
		r.finished = sql.NullInt64{Int64: now, Valid: true}
	}
	r.State = arrow.To
	r.Cancel = r.Cancel || event == machine.Cancel
	return true, r.save(ctx, tx)
}
