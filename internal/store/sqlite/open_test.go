package sqlite

import (
	"context"
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/store"
)

func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data", "queue")
	path := filepath.Join(dir, "queue.db")
	s := open(t, path, Options{})
	submit(t, s)
	for file, want := range map[string]fs.FileMode{
		filepath.Dir(dir): fs.ModeDir | 0o700, dir: fs.ModeDir | 0o700,
		path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, path + ".lock": 0o600,
	} {
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, want, info.Mode(), file)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "queue.db"), Options{})
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000",
	} {
		var got string
		require.NoError(t, s.writer.QueryRow(`PRAGMA `+pragma).Scan(&got))
		require.Equal(t, want, got, pragma)
	}
	_, err := s.reader.Exec(`DELETE FROM jobs`)
	require.ErrorContains(t, err, "readonly", "readers can't write")
}

func TestStrangePath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, `a b?mode=memory&c#d%20e'"ß.db`)
	s := open(t, path, Options{})
	submit(t, s)
	require.NoError(t, s.Close())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	require.Equal(t, []string{filepath.Base(path), filepath.Base(path) + ".lock"}, names)
	_, err = open(t, path, Options{}).Job(t.Context(), 1)
	require.NoError(t, err)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	// prepare gets the path of a database that was opened and closed once.
	for name, test := range map[string]struct {
		prepare func(t *testing.T, path string)
		options Options
		want    string
	}{
		"open elsewhere": {func(t *testing.T, path string) { open(t, path, Options{}) }, Options{}, "another process has it open"},
		"readable for others": {func(t *testing.T, path string) { require.NoError(t, os.Chmod(path, 0o644)) }, Options{},
			"has mode 0644: run chmod 600"},
		"WAL readable for others": {func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path+"-wal", nil, 0o640)) }, Options{},
			"-wal holds secrets but has mode 0640"},
		"no database": {func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, make([]byte, 5000), 0o600)) }, Options{},
			"not a database"},
		"a directory": {func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
		}, Options{}, "is a directory"},
		"a file as directory": {func(t *testing.T, path string) {
			require.NoError(t, os.RemoveAll(filepath.Dir(path)))
			require.NoError(t, os.WriteFile(filepath.Dir(path), nil, 0o600))
		}, Options{}, "make the directory or name another one"},
		"newer schema": {func(t *testing.T, path string) {
			s := open(t, path, Options{})
			_, err := s.writer.Exec(`INSERT INTO schema_version (version, name) VALUES (9000, 'from the future')`)
			require.NoError(t, err)
			require.NoError(t, s.Close())
		}, Options{}, "the schema has version 9000 and this build knows versions up to 1: run the build that wrote it"},
		"another program's": {func(t *testing.T, path string) {
			s := open(t, path, Options{})
			_, err := s.writer.Exec(`PRAGMA application_id = 7`)
			require.NoError(t, err)
			require.NoError(t, s.Close())
		}, Options{}, "database of another program"},
		"lease time":  {func(*testing.T, string) {}, Options{LeaseTime: -time.Second}, "lease time -1s is negative"},
		"retry delay": {func(*testing.T, string) {}, Options{RetryDelay: -time.Second}, "retry delay -1s is negative"},
		"log bound":   {func(*testing.T, string) {}, Options{MaxLogBytes: -1}, "log bound of -1 bytes is negative"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "data", "queue.db")
			require.NoError(t, open(t, path, Options{}).Close())
			test.prepare(t, path)
			_, err := Open(t.Context(), path, test.options)
			require.ErrorContains(t, err, test.want)
			require.Equal(t, fault.Operator, fault.ClassOf(err), err)
		})
	}
}

func TestMigrationIsWhole(t *testing.T) {
	t.Parallel()
	s := open(t, Memory, Options{})
	err := migration{version: 2, name: "0002_broken.sql", script: `CREATE TABLE half (a); CREATE TABLE half (a);`}.apply(t.Context(), s.writer)
	require.ErrorContains(t, err, "already exists")
	var tables, version int
	require.NoError(t, s.writer.QueryRow(`SELECT count(*) FROM sqlite_schema WHERE name = 'half'`).Scan(&tables))
	require.Zero(t, tables, "nothing of a failed step stays")
	require.NoError(t, s.writer.QueryRow(`SELECT max(version) FROM schema_version`).Scan(&version))
	require.Equal(t, 1, version)
}

func TestCanceledCalls(t *testing.T) {
	t.Parallel()
	for _, path := range []string{Memory, filepath.Join(t.TempDir(), "queue.db")} {
		s := open(t, path, Options{})
		submit(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.Submit(ctx, store.NewJob{Spec: jobs.Spec{Queue: "q"}})
		require.ErrorIs(t, err, context.Canceled)
		_, err = s.Job(ctx, 1)
		require.ErrorIs(t, err, context.Canceled)

		// A call that waits for another one's transaction ends with its context.
		tx, err := s.writer.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		ctx, cancel = context.WithCancel(t.Context())
		result := make(chan error)
		go func() {
			_, err := s.Cancel(ctx, 1)
			result <- err
		}()
		cancel()
		require.ErrorIs(t, <-result, context.Canceled)
		require.NoError(t, tx.Rollback())
		job, err := s.Job(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, jobs.Queued, job.State, "nothing is stored half")
	}
}

func TestCloseWaits(t *testing.T) {
	t.Parallel()
	s := open(t, Memory, Options{})
	begun, wait := make(chan struct{}), make(chan struct{})
	written, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		written <- s.write(t.Context(), func(tx *sql.Tx) error {
			close(begun)
			<-wait
			_, err := tx.Exec(`INSERT INTO queues (name) VALUES ('q')`)
			return err
		})
	}()
	<-begun
	go func() { closed <- s.Close() }()
	require.Eventually(t, func() bool {
		if s.running.TryRLock() {
			s.running.RUnlock()
			return false
		}
		return true
	}, time.Minute, time.Millisecond, "Close waits for its turn")
	require.Empty(t, closed)
	close(wait)
	require.NoError(t, <-written)
	require.NoError(t, <-closed)
}

func TestDatabaseErrorsNameTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	s := open(t, path, Options{})
	_, err := s.writer.Exec(`PRAGMA max_page_count = 1`)
	require.NoError(t, err)
	for err == nil {
		_, err = s.Submit(t.Context(), store.NewJob{Spec: jobs.Spec{Queue: "q", Steps: []jobs.Step{{Run: []string{string(make([]byte, 5000))}}}}})
	}
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "full")
	require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
}

// The statements that run all the time use their indexes, however long the history is.
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	s := open(t, Memory, Options{})
	for _, test := range []struct {
		query string
		args  []any
		want  string
	}{
		{`SELECT id FROM jobs ` + dueClause, []any{"q", 1}, "jobs_waiting (queue=? AND due_tick<?)"},
		{`SELECT id FROM jobs ` + staleClause, []any{1}, "jobs_by_state (state=?)"},
		{`SELECT id FROM jobs WHERE token_hash = ? AND state = 'processing'`, []any{"x"}, "jobs_by_token (token_hash=?)"},
		{`SELECT (` + waitingCount + `) FROM queues`, nil, "jobs_waiting (queue=?)"},
		{`SELECT (` + processingCount + `) FROM queues`, nil, "jobs_running (queue=?)"},
	} {
		rows, err := s.reader.Query(`EXPLAIN QUERY PLAN `+test.query, test.args...)
		require.NoError(t, err)
		plan := ""
		for rows.Next() {
			var id, parent, unused int
			var detail string
			require.NoError(t, rows.Scan(&id, &parent, &unused, &detail))
			plan += detail + "\n"
		}
		require.NoError(t, rows.Close())
		require.Contains(t, plan, test.want, test.query)
	}
}
