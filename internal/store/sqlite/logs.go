package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/store"
)

// maxChunk bounds one row of chunks, so that reading from any offset loads little more than it was asked for.
const maxChunk = 64 << 10

// AddEntry implements store.Logs.
func (s *Store) AddEntry(ctx context.Context, holder store.Holder, entry api.ExecutionLogEntry) (int, error) {
	command, err := json.Marshal(entry.Command)
	if err != nil {
		return 0, err
	}
	out := digest([]byte(entry.Out), 0)
	var id int
	err = s.write(ctx, func(tx *sql.Tx) error {
		r, err := held(ctx, tx, holder)
		if err != nil {
			return err
		}
		err = tx.QueryRowContext(ctx, `INSERT INTO entries
			(job_id, attempt, id, key, command, started_at, exit_code, duration_ms, out_bytes, out_sum)
			SELECT ?1, ?2, coalesce(max(id), 0) + 1, ?3, ?4, ?5, ?6, ?7, 0, ?8 FROM entries WHERE job_id = ?1 AND attempt = ?2
			RETURNING id`,
			r.ID, r.attempt, entry.Key, string(command), stored(entry.StartTime), entry.ExitCode, entry.DurationMs, out.prefix).Scan(&id)
		if err != nil {
			return err
		}
		_, err = s.extend(ctx, tx, r, logEntry{id: id, sum: out.prefix}, out)
		return err
	})
	return id, err
}

// UpdateEntry implements store.Logs. The output so far is compared by length and hash; it is not read.
func (s *Store) UpdateEntry(ctx context.Context, holder store.Holder, id int, entry api.ExecutionLogEntry) error {
	command, err := json.Marshal(entry.Command)
	if err != nil {
		return err
	}
	// Hashing may take long. It is done before the transaction, for the length that the entry most likely has in it.
	length, err := s.entryBytes(ctx, holder, id)
	if err != nil {
		return err
	}
	out := digest([]byte(entry.Out), length)
	var full bool
	err = s.write(ctx, func(tx *sql.Tx) error {
		r, err := held(ctx, tx, holder)
		if err != nil {
			return err
		}
		was := logEntry{id: id}
		err = tx.QueryRowContext(ctx, `UPDATE entries SET key = ?, command = ?, started_at = ?, exit_code = ?, duration_ms = ?
			WHERE job_id = ? AND attempt = ? AND id = ? RETURNING out_bytes, out_sum, reset_due`,
			entry.Key, string(command), stored(entry.StartTime), entry.ExitCode, entry.DurationMs, r.ID, r.attempt, id,
		).Scan(&was.bytes, &was.sum, &was.resetDue)
		if errors.Is(err, sql.ErrNoRows) {
			return store.ErrNoEntry
		}
		if err != nil {
			return err
		}
		if was.bytes != length {
			out = digest(out.data, was.bytes)
		}
		full, err = s.extend(ctx, tx, r, was, out)
		return err
	})
	if err == nil && full {
		return fmt.Errorf("%w: it holds %d bytes", store.ErrLogFull, s.options.MaxLogBytes)
	}
	return err
}

func (s *Store) entryBytes(ctx context.Context, holder store.Holder, id int) (length int64, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		r, err := held(ctx, tx, holder)
		if err != nil {
			return err
		}
		err = tx.QueryRowContext(ctx, `SELECT out_bytes FROM entries WHERE job_id = ? AND attempt = ? AND id = ?`,
			r.ID, r.attempt, id).Scan(&length)
		if errors.Is(err, sql.ErrNoRows) {
			return store.ErrNoEntry
		}
		return err
	})
	return length, err
}

// logEntry is an entry's output as the log has it.
type logEntry struct {
	id       int
	bytes    int64
	sum      []byte
	resetDue bool
}

// output is an entry's output as an executor sends it, with the SHA-256 of its first length bytes and of all.
type output struct {
	data        []byte
	prefix, all []byte
}

// digest hashes data once. A length beyond data's end leaves prefix nil, which no entry's sum equals.
func digest(data []byte, length int64) output {
	out := output{data: data}
	hash := sha256.New()
	rest := data
	if length <= int64(len(data)) {
		hash.Write(data[:length])
		out.prefix = hash.Sum(nil)
		rest = data[length:]
	}
	hash.Write(rest)
	out.all = hash.Sum(nil)
	return out
}

// extend brings an entry's output from what it was to out, as far as the log has room, and reports whether it had not.
func (s *Store) extend(ctx context.Context, tx *sql.Tx, r *record, was logEntry, out output) (full bool, err error) {
	next := logEntry{id: was.id, bytes: int64(len(out.data)), sum: out.all}
	reset := !bytes.Equal(out.prefix, was.sum)
	added := out.data
	if !reset {
		added = out.data[was.bytes:]
	}
	reset = reset || was.resetDue

	var begins int64
	err = tx.QueryRowContext(ctx, `SELECT log_bytes FROM attempts WHERE job_id = ? AND number = ?`, r.ID, r.attempt).Scan(&begins)
	if err != nil {
		return false, err
	}
	if room := s.options.MaxLogBytes - begins; int64(len(added)) > room {
		kept := cut(added, int(max(room, 0)))
		if kept == 0 {
			return true, nil
		}
		full = true
		next.bytes -= int64(len(added) - kept)
		next.sum = digest(out.data, next.bytes).prefix
		added = added[:kept]
	}
	next.resetDue = reset && len(added) == 0
	if err := appendChunks(ctx, tx, r, was.id, begins, added, reset); err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE entries SET out_bytes = ?, out_sum = ?, reset_due = ?
		WHERE job_id = ? AND attempt = ? AND id = ?`, next.bytes, next.sum, next.resetDue, r.ID, r.attempt, next.id)
	return full, err
}

// appendChunks adds data to the end, begins, of an attempt's log. A reset is told with the first byte of data.
func appendChunks(ctx context.Context, tx *sql.Tx, r *record, entry int, begins int64, data []byte, reset bool) error {
	for len(data) > 0 {
		size := cut(data, maxChunk)
		_, err := tx.ExecContext(ctx, `INSERT INTO chunks (job_id, attempt, begins, entry, reset, data) VALUES (?, ?, ?, ?, ?, ?)`,
			r.ID, r.attempt, begins, entry, reset, data[:size])
		if err != nil {
			return err
		}
		begins += int64(size)
		data = data[size:]
		reset = false
	}
	_, err := tx.ExecContext(ctx, `UPDATE attempts SET log_bytes = ? WHERE job_id = ? AND number = ?`, begins, r.ID, r.attempt)
	return err
}
