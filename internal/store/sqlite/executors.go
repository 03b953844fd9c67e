package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/store"
)

// forgetAfter is how long an executor that is not heard of stays in the list (spec section A6).
const forgetAfter = 168 * time.Hour

// Seen implements store.Executors. A ping, which has no telemetry and maybe no queues, keeps those of the last heartbeat.
func (s *Store) Seen(ctx context.Context, executor store.Executor) error {
	if executor.Name == "" {
		return errors.New("an executor without a name was seen")
	}
	telemetry, err := json.Marshal(executor.Telemetry)
	if err != nil {
		return err
	}
	queues, err := json.Marshal(executor.Queues)
	if err != nil {
		return err
	}
	ping := executor.Telemetry == api.Telemetry{}
	return s.write(ctx, func(tx *sql.Tx) error {
		now := s.clock.now()
		_, err := tx.ExecContext(ctx, `INSERT INTO executors (name, queues, telemetry, first_seen_at, last_seen_at)
			VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT (name) DO UPDATE SET last_seen_at = ?4,
			queues = iif(?5, queues, ?2), telemetry = iif(?6, telemetry, ?3)`,
			executor.Name, string(queues), string(telemetry), now, len(executor.Queues) == 0, ping)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM executors WHERE last_seen_at < ? AND name NOT IN
			(SELECT executor FROM jobs WHERE state = 'processing')`, now-forgetAfter.Microseconds())
		return err
	})
}

// Executors implements store.Executors. The newest is the one that was first heard of last.
func (s *Store) Executors(ctx context.Context) ([]store.Executor, error) {
	var list []store.Executor
	err := s.read(ctx, func(tx *sql.Tx) error {
		held, err := heldJobs(ctx, tx)
		if err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, `SELECT name, queues, telemetry, first_seen_at, last_seen_at FROM executors ORDER BY id DESC`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var (
				executor          store.Executor
				queues, telemetry []byte
				first, last       sql.NullInt64
			)
			if err := rows.Scan(&executor.Name, &queues, &telemetry, &first, &last); err != nil {
				return err
			}
			err := errors.Join(json.Unmarshal(queues, &executor.Queues), json.Unmarshal(telemetry, &executor.Telemetry))
			if err != nil {
				return fmt.Errorf("executor %q: %w", executor.Name, err)
			}
			executor.FirstSeenAt, executor.LastSeenAt = timestamp(first), timestamp(last)
			executor.Jobs = held[executor.Name]
			list = append(list, executor)
		}
		return rows.Err()
	})
	return list, err
}

// heldJobs maps executors to the ids of the jobs that they have leases on, ascending.
func heldJobs(ctx context.Context, tx *sql.Tx) (map[string][]int64, error) {
	rows, err := tx.QueryContext(ctx, `SELECT executor, id FROM jobs WHERE state = 'processing' ORDER BY executor, id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	held := make(map[string][]int64)
	for rows.Next() {
		var (
			executor string
			id       int64
		)
		if err := rows.Scan(&executor, &id); err != nil {
			return nil, err
		}
		held[executor] = append(held[executor], id)
	}
	return held, rows.Err()
}

// The counts of the queue whose name stands around them.
const (
	waitingCount    = `SELECT count(*) FROM jobs WHERE queue = name AND state IN ('queued', 'errored')`
	processingCount = `SELECT count(*) FROM jobs WHERE queue = name AND state = 'processing'`
)

// Queues implements store.Executors.
func (s *Store) Queues(ctx context.Context) ([]store.QueueCount, error) {
	var list []store.QueueCount
	err := s.read(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT name, (`+waitingCount+`), (`+processingCount+`) FROM queues ORDER BY name`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var count store.QueueCount
			if err := rows.Scan(&count.Name, &count.Queued, &count.Processing); err != nil {
				return err
			}
			list = append(list, count)
		}
		return rows.Err()
	})
	return list, err
}
