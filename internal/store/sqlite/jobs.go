package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
	"github.com/open-executor/executor/internal/store/machine"
)

// Submit implements store.Jobs.
func (s *Store) Submit(ctx context.Context, new store.NewJob) (store.Job, error) {
	spec, secrets, err := encodeSpec(new.Spec)
	if err != nil {
		return store.Job{}, err
	}
	var job store.Job
	err = s.write(ctx, func(tx *sql.Tx) error {
		id, err := s.insert(ctx, tx, &record{
			Job:     store.Job{Queue: new.Spec.Queue},
			retries: new.Spec.Retries,
			timeout: time.Duration(new.Spec.Timeout),
		}, spec)
		if err != nil {
			return err
		}
		for name, value := range secrets {
			_, err := tx.ExecContext(ctx, `INSERT INTO secrets (job_id, name, value) VALUES (?, ?, ?)`, id, name, value)
			if err != nil {
				return err
			}
		}
		job, err = whole(ctx, tx, id)
		return err
	})
	return job, err
}

// insert adds a queued job with the queue, retries, timeout and RetryOf of a record.
func (s *Store) insert(ctx context.Context, tx *sql.Tx, like *record, spec []byte) (int64, error) {
	arrow, _ := machine.Next(machine.Job{State: machine.None}, machine.Submit)
	if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO queues (name) VALUES (?)`, like.Queue); err != nil {
		return 0, err
	}
	var id int64
	err := tx.QueryRowContext(ctx, `INSERT INTO jobs (queue, state, retry_of, retries, timeout_ms, queued_at, due_tick)
		VALUES (?, ?, nullif(?, 0), ?, ?, ?, ?) RETURNING id`,
		like.Queue, arrow.To, like.RetryOf, like.retries, like.timeout.Milliseconds(), s.clock.now(), s.clock.tick()).Scan(&id)
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO specs (job_id, spec) VALUES (?, ?)`, id, spec)
	return id, err
}

// Job implements store.Jobs.
func (s *Store) Job(ctx context.Context, id int64) (store.Job, error) {
	var job store.Job
	err := s.read(ctx, func(tx *sql.Tx) (err error) {
		job, err = whole(ctx, tx, id)
		return err
	})
	return job, err
}

// List implements store.Jobs.
func (s *Store) List(ctx context.Context, filter store.Filter) ([]store.Job, error) {
	if filter.Limit <= 0 {
		return nil, fmt.Errorf("limit %d is not positive", filter.Limit)
	}
	var (
		terms []string
		args  []any
	)
	if filter.Queue != "" {
		terms, args = append(terms, `queue = ?`), append(args, filter.Queue)
	}
	if len(filter.States) > 0 {
		terms = append(terms, `state IN (?`+strings.Repeat(`, ?`, len(filter.States)-1)+`)`)
		for _, state := range filter.States {
			args = append(args, state)
		}
	}
	if filter.Before != 0 {
		terms, args = append(terms, `id < ?`), append(args, filter.Before)
	}
	clause := ``
	if len(terms) > 0 {
		clause = `WHERE ` + strings.Join(terms, ` AND `)
	}
	var list []store.Job
	err := s.read(ctx, func(tx *sql.Tx) error {
		records, err := many(ctx, tx, clause+` ORDER BY id DESC LIMIT ?`, append(args, filter.Limit)...)
		for _, r := range records {
			list = append(list, r.job())
		}
		return err
	})
	return list, err
}

// Cancel implements store.Jobs.
func (s *Store) Cancel(ctx context.Context, id int64) (store.Job, error) {
	var job store.Job
	err := s.write(ctx, func(tx *sql.Tx) error {
		r, err := one(ctx, tx, `WHERE id = ?`, id)
		if err != nil {
			return err
		}
		known, err := s.happen(ctx, tx, r, machine.Cancel, "")
		switch {
		case err != nil:
			return err
		case !known:
			return store.ErrFinal
		}
		job, err = whole(ctx, tx, id)
		return err
	})
	return job, err
}

// Retry implements store.Jobs.
func (s *Store) Retry(ctx context.Context, id int64) (store.Job, error) {
	var job store.Job
	err := s.write(ctx, func(tx *sql.Tx) error {
		r, err := one(ctx, tx, `WHERE id = ?`, id)
		switch {
		case err != nil:
			return err
		case !r.State.Final():
			return store.ErrNotFinal
		}
		var spec []byte
		if err := tx.QueryRowContext(ctx, `SELECT spec FROM specs WHERE job_id = ?`, id).Scan(&spec); err != nil {
			return err
		}
		r.RetryOf = id
		copied, err := s.insert(ctx, tx, r, spec)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO secrets (job_id, name, value)
			SELECT ?, name, value FROM secrets WHERE job_id = ?`, copied, id)
		if err != nil {
			return err
		}
		job, err = whole(ctx, tx, copied)
		return err
	})
	return job, err
}

// whole reads a job with its spec, without secret values, and its attempts.
func whole(ctx context.Context, tx *sql.Tx, id int64) (store.Job, error) {
	r, err := one(ctx, tx, `WHERE id = ?`, id)
	if err != nil {
		return store.Job{}, err
	}
	job := r.job()
	if job.Spec, err = readSpec(ctx, tx, id); err != nil {
		return store.Job{}, err
	}
	job.Attempts, err = attempts(ctx, tx, id)
	return job, err
}

func attempts(ctx context.Context, tx *sql.Tx, id int64) ([]jobs.Attempt, error) {
	rows, err := tx.QueryContext(ctx, `SELECT number, executor, started_at, ended_at, cause, message
		FROM attempts WHERE job_id = ? ORDER BY number`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []jobs.Attempt
	for rows.Next() {
		var (
			attempt        jobs.Attempt
			started, ended sql.NullInt64
		)
		err := rows.Scan(&attempt.Number, &attempt.Executor, &started, &ended, &attempt.Cause, &attempt.Message)
		if err != nil {
			return nil, err
		}
		attempt.StartedAt = timestamp(started)
		if ended.Valid {
			end := timestamp(ended)
			attempt.EndedAt = &end
		}
		list = append(list, attempt)
	}
	return list, rows.Err()
}

// encodeSpec parts the secret values from the rest.
func encodeSpec(spec jobs.Spec) (encoded []byte, values map[string]string, err error) {
	names := make(map[string]jobs.Secret, len(spec.Secrets))
	values = make(map[string]string, len(spec.Secrets))
	for name, secret := range spec.Secrets {
		values[name] = secret.Value
		secret.Value = ""
		names[name] = secret
	}
	spec.Secrets = names
	encoded, err = json.Marshal(spec)
	return encoded, values, err
}

func readSpec(ctx context.Context, tx *sql.Tx, id int64) (jobs.Spec, error) {
	var encoded []byte
	if err := tx.QueryRowContext(ctx, `SELECT spec FROM specs WHERE job_id = ?`, id).Scan(&encoded); err != nil {
		return jobs.Spec{}, err
	}
	var spec jobs.Spec
	if err := json.Unmarshal(encoded, &spec); err != nil {
		return jobs.Spec{}, fmt.Errorf("spec of job %d: %w", id, err)
	}
	return spec, nil
}
