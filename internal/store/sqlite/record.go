package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
	"github.com/open-executor/executor/internal/store/machine"
)

// record is a row of the table jobs.
type record struct {
	store.Job
	attempt           int
	retries           int
	timeout           time.Duration
	token             []byte
	queued            int64
	started, finished sql.NullInt64
	due               int64
	leased, heard     int64
}

const recordColumns = `id, queue, state, cancel, reason, coalesce(retry_of, 0), retries, timeout_ms, failures, resets,
	attempt, executor, token_hash, queued_at, started_at, finished_at, due_tick, leased_tick, heard_tick`

func (r *record) scan(row interface{ Scan(...any) error }) error {
	var timeout int64
	err := row.Scan(&r.ID, &r.Queue, &r.State, &r.Cancel, &r.Reason, &r.RetryOf, &r.retries, &timeout, &r.Failures, &r.Resets,
		&r.attempt, &r.Executor, &r.token, &r.queued, &r.started, &r.finished, &r.due, &r.leased, &r.heard)
	r.timeout = time.Duration(timeout) * time.Millisecond
	return err
}

// one reads the record that the clause after FROM jobs selects, or ErrNotFound.
func one(ctx context.Context, tx *sql.Tx, clause string, args ...any) (*record, error) {
	r := &record{}
	err := r.scan(tx.QueryRowContext(ctx, `SELECT `+recordColumns+` FROM jobs `+clause, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, store.ErrNotFound
	}
	return r, err
}

func many(ctx context.Context, tx *sql.Tx, clause string, args ...any) ([]*record, error) {
	rows, err := tx.QueryContext(ctx, `SELECT `+recordColumns+` FROM jobs `+clause, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var records []*record
	for rows.Next() {
		r := &record{}
		if err := r.scan(rows); err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, rows.Err()
}

// job is the record as callers see it, still without spec and attempts.
func (r *record) job() store.Job {
	job := r.Job
	job.QueuedAt = time.UnixMicro(r.queued).UTC()
	job.StartedAt = timestamp(r.started)
	job.FinishedAt = timestamp(r.finished)
	return job
}

// life is what decides the record's next state at a steady time.
func (r *record) life(tick int64) machine.Job {
	return machine.Job{
		State:       r.State,
		CancelAsked: r.Cancel,
		Failures:    r.Failures,
		Retries:     r.retries,
		Resets:      r.Resets,
		Timeout:     r.timeout,
		Ran:         time.Duration(tick-r.leased) * time.Millisecond,
	}
}

// heldBy reports whether the holder has the record's lease.
func (r *record) heldBy(holder store.Holder) bool {
	return r.State == jobs.Processing && r.Queue == holder.Queue && r.Executor == holder.Executor &&
		(holder.Attempt == 0 || holder.Attempt == r.attempt)
}

// save stores what can change of a record.
func (r *record) save(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `UPDATE jobs SET state = ?, cancel = ?, reason = ?, failures = ?, resets = ?,
		attempt = ?, executor = ?, token_hash = ?, queued_at = ?, started_at = ?, finished_at = ?,
		due_tick = ?, leased_tick = ?, heard_tick = ? WHERE id = ?`,
		r.State, r.Cancel, r.Reason, r.Failures, r.Resets, r.attempt, r.Executor, r.token, r.queued, r.started, r.finished,
		r.due, r.leased, r.heard, r.ID)
	return err
}
