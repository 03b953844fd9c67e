package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
)

// Entries implements store.Logs.
func (s *Store) Entries(ctx context.Context, jobID int64, attempt int) ([]jobs.Entry, error) {
	var list []jobs.Entry
	err := s.read(ctx, func(tx *sql.Tx) error {
		if _, err := logBytes(ctx, tx, jobID, attempt); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, `SELECT id, key, command, started_at, exit_code, duration_ms
			FROM entries WHERE job_id = ? AND attempt = ? ORDER BY id`, jobID, attempt)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var (
				entry   jobs.Entry
				command []byte
				started sql.NullInt64
			)
			if err := rows.Scan(&entry.ID, &entry.Key, &command, &started, &entry.ExitCode, &entry.DurationMs); err != nil {
				return err
			}
			if err := json.Unmarshal(command, &entry.Command); err != nil {
				return fmt.Errorf("command of entry %d of attempt %d of job %d: %w", entry.ID, attempt, jobID, err)
			}
			entry.StartedAt = timestamp(started)
			list = append(list, entry)
		}
		return rows.Err()
	})
	return list, err
}

// ReadLog implements store.Logs. Pieces end between characters where the output is UTF-8; to get on, a piece may be longer
// than the limit by the rest of one character.
func (s *Store) ReadLog(ctx context.Context, jobID int64, attempt int, offset int64, limit int) ([]store.Piece, error) {
	if offset < 0 || limit <= 0 {
		return nil, fmt.Errorf("reading a log: offset %d is negative or limit %d is not positive", offset, limit)
	}
	var pieces []store.Piece
	err := s.read(ctx, func(tx *sql.Tx) error {
		end, err := logBytes(ctx, tx, jobID, attempt)
		if err != nil || offset >= end {
			return err
		}
		rows, err := tx.QueryContext(ctx, `SELECT entry, begins, reset, data FROM chunks
			WHERE job_id = ?1 AND attempt = ?2 AND begins >= (
				SELECT max(begins) FROM chunks WHERE job_id = ?1 AND attempt = ?2 AND begins <= ?3)
			ORDER BY begins`, jobID, attempt, offset)
		if err != nil {
			return err
		}
		defer rows.Close()
		for whole := true; whole && limit > 0 && rows.Next(); {
			var piece store.Piece
			if err := rows.Scan(&piece.Entry, &piece.Offset, &piece.Reset, &piece.Data); err != nil {
				return err
			}
			if skip := offset - piece.Offset; skip > 0 {
				piece.Offset, piece.Reset, piece.Data = offset, false, piece.Data[skip:]
			}
			size := cut(piece.Data, limit)
			if size == 0 && len(pieces) == 0 {
				_, size = utf8.DecodeRune(piece.Data)
			}
			whole = size == len(piece.Data)
			limit -= size
			if size > 0 {
				piece.Data = piece.Data[:size]
				pieces = append(pieces, piece)
			}
		}
		return rows.Err()
	})
	return pieces, err
}

// logBytes returns the length of an attempt's log, or ErrNotFound when there is no such attempt.
func logBytes(ctx context.Context, tx *sql.Tx, jobID int64, attempt int) (int64, error) {
	var length int64
	err := tx.QueryRowContext(ctx, `SELECT log_bytes FROM attempts WHERE job_id = ? AND number = ?`, jobID, attempt).Scan(&length)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, store.ErrNotFound
	}
	return length, err
}

// cut returns how many bytes of data, at most limit, can be taken without splitting a character. Bytes that are not UTF-8
// may be split anywhere.
func cut(data []byte, limit int) int {
	if limit >= len(data) {
		return len(data)
	}
	for begin := limit - 1; begin >= 0 && begin > limit-utf8.UTFMax; begin-- {
		if !utf8.RuneStart(data[begin]) {
			continue
		}
		if _, size := utf8.DecodeRune(data[begin:]); begin+size > limit {
			return begin
		}
		break
	}
	return limit
}
