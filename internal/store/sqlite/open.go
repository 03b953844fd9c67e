// Package sqlite keeps the queue in one SQLite file, for one frontend process. It needs no server; its only writer is one
// connection, so transitions are serial.
//
// The database runs in WAL mode with synchronous=FULL: what a call has acknowledged survives a SIGKILL and a loss of power. That
// costs one fsync per write; docs/state-machine.md has the measure.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/store"
)

// Memory is the path of a database that lives in the process's memory and ends with its store.
const Memory = ":memory:"

// Defaults of Options.
const (
	DefaultLeaseTime   = 25 * time.Second
	DefaultRetryDelay  = 5 * time.Second
	DefaultMaxLogBytes = 100 << 20
)

// Options are a store's settings. Zero members take the defaults.
type Options struct {
	// LeaseTime is how long a lease lives without being renewed.
	LeaseTime time.Duration
	// RetryDelay is the time before the first retry; it doubles with each further one.
	RetryDelay time.Duration
	// MaxLogBytes bounds the log of one attempt.
	MaxLogBytes int64
	// Clock is the wall clock.
	Clock func() time.Time
	// Monotonic is the clock that decides: it never jumps; only differences count. Without it, differences of Clock's times
	// count, which are monotonic for time.Now.
	Monotonic func() time.Duration

	// synchronous is SQLite's setting, for measures.
	synchronous string
}

func (o Options) withDefaults() (Options, error) {
	switch {
	case o.LeaseTime < 0:
		return o, fault.Operatorf("lease time %s is negative: give a positive one", o.LeaseTime)
	case o.RetryDelay < 0:
		return o, fault.Operatorf("retry delay %s is negative: give a positive one", o.RetryDelay)
	case o.MaxLogBytes < 0:
		return o, fault.Operatorf("log bound of %d bytes is negative: give a positive one", o.MaxLogBytes)
	}
	if o.LeaseTime == 0 {
		o.LeaseTime = DefaultLeaseTime
	}
	if o.RetryDelay == 0 {
		o.RetryDelay = DefaultRetryDelay
	}
	if o.MaxLogBytes == 0 {
		o.MaxLogBytes = DefaultMaxLogBytes
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Monotonic == nil {
		begin := o.Clock()
		o.Monotonic = func() time.Duration { return o.Clock().Sub(begin) }
	}
	if o.synchronous == "" {
		o.synchronous = "FULL"
	}
	return o, nil
}

// Store implements store.Store.
type Store struct {
	path    string
	options Options
	clock   clock
	// writer has one connection, so at most one transaction writes at a time; reader has several and never waits for it.
	writer, reader *sql.DB
	closers        []io.Closer

	// running is held shared by each call and exclusively by Close.
	running sync.RWMutex
	closed  bool
}

var _ store.Store = (*Store)(nil)

var errClosed = errors.New("store is closed")

// readers bounds how many reads run at the same time.
const readers = 4

// Open opens the database file at path, or Memory, makes it when it is missing, and brings its schema up to date. Only one process
// can have it open. Errors that the operator can mend have that class and name the file.
func Open(ctx context.Context, path string, options Options) (*Store, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, options: options, clock: clock{wall: options.Clock, monotonic: options.Monotonic}}
	if err := s.open(ctx); err != nil {
		return nil, fault.As(fault.ClassOf(err), fmt.Errorf("database %s: %w", path, errors.Join(err, s.Close())))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	var err error
	if s.path == Memory {
		err = s.connectMemory(ctx)
	} else {
		err = s.connectFile()
	}
	if err != nil {
		return err
	}
	err = migrate(ctx, s.writer)
	var failure *driver.Error
	if errors.As(err, &failure) && failure.Code() == codes.SQLITE_NOTADB {
		return fault.Operatorf("name another file: %w", err)
	}
	if err != nil {
		return err
	}
	return s.clock.resume(ctx, s.writer)
}

func (s *Store) connectFile() error {
	absolute, err := filepath.Abs(s.path)
	if err != nil {
		return err
	}
	if err := prepareFile(absolute); err != nil {
		return err
	}
	lock, err := lockFile(absolute)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, lock)
	settings := url.Values{"_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(" + s.options.synchronous + ")", "foreign_keys(1)",
		"journal_size_limit(" + strconv.Itoa(64<<20) + ")",
	}}
	if s.writer, err = s.connect(absolute, settings, 1, "immediate"); err != nil {
		return err
	}
	settings.Add("_pragma", "query_only(1)")
	s.reader, err = s.connect(absolute, settings, readers, "deferred")
	return err
}

// memories numbers the databases in memory: connections of one name share one database.
var memories atomic.Int64

// connectMemory lets reads and writes share the one working connection. Another one, which does nothing, keeps the database
// alive should the driver drop the first.
func (s *Store) connectMemory(ctx context.Context) error {
	name := "executor-" + strconv.FormatInt(memories.Add(1), 10)
	settings := url.Values{"mode": {"memory"}, "cache": {"shared"}, "_pragma": {"foreign_keys(1)"}}
	var err error
	if s.writer, err = s.connect(name, settings, 1, "immediate"); err != nil {
		return err
	}
	s.reader = s.writer
	keeper, err := s.connect(name, settings, 1, "deferred")
	if err != nil {
		return err
	}
	return keeper.PingContext(ctx)
}

func (s *Store) connect(path string, settings url.Values, connections int, lock string) (*sql.DB, error) {
	settings = url.Values{"mode": settings["mode"], "cache": settings["cache"], "_pragma": settings["_pragma"], "_txlock": {lock}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+settings.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	s.closers = append(s.closers, db)
	return db, nil
}

// Close waits for running calls and releases the file. Calls after it fail; closing again does nothing.
func (s *Store) Close() error {
	s.running.Lock()
	defer s.running.Unlock()
	s.closed = true
	var errs []error
	// The newest first: readers, the writer, which folds the WAL into the database, then the lock.
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i].Close())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// read runs do on a connection that sees one state of the database throughout.
func (s *Store) read(ctx context.Context, do func(tx *sql.Tx) error) error {
	return s.transaction(ctx, s.reader, do)
}

// write runs do in a transaction that is acknowledged, when write returns nil, and undone otherwise.
func (s *Store) write(ctx context.Context, do func(tx *sql.Tx) error) error {
	return s.transaction(ctx, s.writer, do)
}

func (s *Store) transaction(ctx context.Context, db *sql.DB, do func(tx *sql.Tx) error) error {
	s.running.RLock()
	defer s.running.RUnlock()
	if s.closed {
		return errClosed
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return s.explain(err)
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return s.explain(err)
	}
	return s.explain(tx.Commit())
}

// explain names the database in errors of SQLite, such as a full disk.
func (s *Store) explain(err error) error {
	var failure *driver.Error
	if errors.As(err, &failure) {
		return fmt.Errorf("database %s: %w", s.path, err)
	}
	return err
}
