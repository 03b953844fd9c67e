package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/open-executor/executor/internal/store"
	"github.com/open-executor/executor/internal/store/machine"
)

// dueClause selects a queue's next job; its WHERE is that of the index jobs_waiting.
const dueClause = `WHERE queue = ? AND state IN ('queued', 'errored') AND due_tick <= ? ORDER BY due_tick, id LIMIT 1`

// staleClause selects the jobs whose lease has run out.
const staleClause = `WHERE state = 'processing' AND heard_tick <= ? ORDER BY id`

// Lease implements store.Leases. An executor that finds nothing costs reads only.
func (s *Store) Lease(ctx context.Context, request store.LeaseRequest) (store.Lease, error) {
	if request.Executor == "" {
		return store.Lease{}, errors.New("leasing a job: the executor has no name")
	}
	err := s.read(ctx, func(tx *sql.Tx) error {
		_, err := s.nextDue(ctx, tx, request.Queues)
		return err
	})
	if err != nil {
		return store.Lease{}, err
	}
	var lease store.Lease
	err = s.write(ctx, func(tx *sql.Tx) error {
		r, err := s.nextDue(ctx, tx, request.Queues)
		if err != nil {
			return err
		}
		if err := s.take(ctx, tx, r, request); err != nil {
			return err
		}
		lease, err = leaseOf(ctx, tx, r)
		return err
	})
	return lease, err
}

func (s *Store) nextDue(ctx context.Context, tx *sql.Tx, queues []string) (*record, error) {
	for _, queue := range queues {
		r, err := one(ctx, tx, dueClause, queue, s.clock.tick())
		if !errors.Is(err, store.ErrNotFound) {
			return r, err
		}
	}
	return nil, store.ErrEmpty
}

// take starts the next attempt of a record.
func (s *Store) take(ctx context.Context, tx *sql.Tx, r *record, request store.LeaseRequest) error {
	now, tick := s.clock.now(), s.clock.tick()
	arrow, ok := machine.Next(r.life(tick), machine.Lease)
	if !ok {
		return fmt.Errorf("job %d is %s and can't be leased", r.ID, r.State)
	}
	r.State = arrow.To
	r.Reason = ""
	r.Executor = request.Executor
	r.attempt++
	r.token = nil
	if request.TokenHash != [32]byte{} {
		r.token = request.TokenHash[:]
	}
	r.started = sql.NullInt64{Int64: now, Valid: true}
	r.leased, r.heard = tick, tick
	if err := r.save(ctx, tx); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO attempts (job_id, number, executor, started_at) VALUES (?, ?, ?, ?)`,
		r.ID, r.attempt, r.Executor, now)
	return err
}

// leaseOf is a processing record with its spec and secrets.
func leaseOf(ctx context.Context, tx *sql.Tx, r *record) (store.Lease, error) {
	spec, err := readSpec(ctx, tx, r.ID)
	if err != nil {
		return store.Lease{}, err
	}
	rows, err := tx.QueryContext(ctx, `SELECT name, value FROM secrets WHERE job_id = ?`, r.ID)
	if err != nil {
		return store.Lease{}, err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return store.Lease{}, err
		}
		secret := spec.Secrets[name]
		secret.Value = value
		spec.Secrets[name] = secret
	}
	lease := store.Lease{JobID: r.ID, Queue: r.Queue, Attempt: r.attempt, Executor: r.Executor, Spec: spec}
	return lease, rows.Err()
}

// Renew implements store.Leases. known and stop are in ascending order.
func (s *Store) Renew(ctx context.Context, executor string, ids []int64) (known, stop []int64, err error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, nil, err
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		tick := s.clock.tick()
		rows, err := tx.QueryContext(ctx, `UPDATE jobs SET heard_tick = ?
			WHERE state = 'processing' AND executor = ? AND id IN (SELECT value FROM json_each(?))
			RETURNING `+recordColumns, tick, executor, string(list))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r := &record{}
			if err := r.scan(rows); err != nil {
				return err
			}
			known = append(known, r.ID)
			if r.life(tick).Stop() {
				stop = append(stop, r.ID)
			}
		}
		return rows.Err()
	})
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(known)
	slices.Sort(stop)
	return known, stop, nil
}

// Finish implements store.Leases.
func (s *Store) Finish(ctx context.Context, holder store.Holder, outcome store.Outcome) (store.Job, error) {
	switch outcome.Result {
	case store.Complete, store.Errored, store.Fail:
	default:
		return store.Job{}, fmt.Errorf("finishing job %d: unknown result %q", holder.JobID, outcome.Result)
	}
	var job store.Job
	err := s.write(ctx, func(tx *sql.Tx) error {
		r, err := held(ctx, tx, holder)
		if err != nil {
			return err
		}
		if _, err := s.happen(ctx, tx, r, machine.Event(outcome.Result), outcome.Message); err != nil {
			return err
		}
		job, err = whole(ctx, tx, r.ID)
		return err
	})
	return job, err
}

// held reads the record whose lease the holder has, or returns ErrLeaseLost.
func held(ctx context.Context, tx *sql.Tx, holder store.Holder) (*record, error) {
	r, err := one(ctx, tx, `WHERE id = ?`, holder.JobID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !r.heldBy(holder):
		return nil, store.ErrLeaseLost
	}
	return r, err
}

// Expire implements store.Leases. It writes only when a lease has run out.
func (s *Store) Expire(ctx context.Context) ([]store.Job, error) {
	err := s.read(ctx, func(tx *sql.Tx) error {
		stale, err := s.stale(ctx, tx)
		if err == nil && len(stale) == 0 {
			err = store.ErrEmpty
		}
		return err
	})
	if errors.Is(err, store.ErrEmpty) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var changed []store.Job
	err = s.write(ctx, func(tx *sql.Tx) error {
		stale, err := s.stale(ctx, tx)
		if err != nil {
			return err
		}
		for _, r := range stale {
			if _, err := s.happen(ctx, tx, r, machine.Lose, ""); err != nil {
				return err
			}
			job, err := whole(ctx, tx, r.ID)
			if err != nil {
				return err
			}
			changed = append(changed, job)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// stale reads the records whose lease was not renewed for the lease time.
func (s *Store) stale(ctx context.Context, tx *sql.Tx) ([]*record, error) {
	return many(ctx, tx, staleClause, s.clock.tick()-s.options.LeaseTime.Milliseconds())
}

// Token implements store.Leases. The token of a lease lives exactly as long as the lease.
func (s *Store) Token(ctx context.Context, hash [32]byte) (store.Lease, error) {
	var lease store.Lease
	err := s.read(ctx, func(tx *sql.Tx) error {
		r, err := one(ctx, tx, `WHERE token_hash = ? AND state = 'processing'`, hash[:])
		if err != nil {
			return err
		}
		lease, err = leaseOf(ctx, tx, r)
		return err
	})
	return lease, err
}
