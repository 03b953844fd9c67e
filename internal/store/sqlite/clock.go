package sqlite

import (
	"context"
	"database/sql"
	"time"
)

// clock tells two times. The wall clock is for people. The steady clock decides: it counts only while a store is open and goes on
// from where the last process's writes left it, so that neither a jump of the wall clock nor a restart ends a lease.
type clock struct {
	wall      func() time.Time
	monotonic func() time.Duration
	// begin is the steady time at which this process opened the store, in milliseconds, and opened the monotonic one.
	begin  int64
	opened time.Duration
}

// tick is the steady time in milliseconds.
func (c *clock) tick() int64 { return c.begin + (c.monotonic() - c.opened).Milliseconds() }

// now is the wall-clock time as it is stored.
func (c *clock) now() int64 { return c.wall().UnixMicro() }

// resume sets the steady clock beyond everything that jobs that still go on have stored, and gives every lease its full
// time anew: executors could not renew while no store was open.
func (c *clock) resume(ctx context.Context, db *sql.DB) error {
	err := db.QueryRowContext(ctx, `SELECT coalesce(max(tick), 0) FROM (
		SELECT max(due_tick) AS tick FROM jobs WHERE state = 'queued'
		UNION ALL SELECT max(heard_tick) FROM jobs WHERE state IN ('processing', 'errored'))`).Scan(&c.begin)
	if err != nil {
		return err
	}
	c.opened = c.monotonic()
	_, err = db.ExecContext(ctx, `UPDATE jobs SET heard_tick = ? WHERE state = 'processing'`, c.begin)
	return err
}

// timestamp turns a stored wall-clock time into a time.Time; NULL is the zero time.
func timestamp(micros sql.NullInt64) time.Time {
	if !micros.Valid {
		return time.Time{}
	}
	return time.UnixMicro(micros.Int64).UTC()
}

// stored is timestamp's inverse.
func stored(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}
