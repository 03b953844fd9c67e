// Package store is the queue's truth: jobs, attempts, leases, logs and executors. It declares the one interface that every store
// implements; a store earns its place by passing storetest. Each transition of docs/state-machine.md is one atomic
// statement or transaction here, and an acknowledged write survives a SIGKILL of the process.
//
// All times are UTC and come from the store's own clock, never from a caller. Methods are safe for concurrent use and return
// promptly: none waits for work to appear.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
)

var (
	// ErrNotFound: there is no such job, attempt or token.
	ErrNotFound = errors.New("not found")
	// ErrEmpty: no job of the queues is due.
	ErrEmpty = errors.New("no job is due")
	// ErrLeaseLost: the caller no longer holds, or never held, the job's lease.
	ErrLeaseLost = errors.New("lease lost")
	// ErrFinal: the job is over and can't be canceled any more.
	ErrFinal = errors.New("job is already over")
	// ErrNotFinal: the job is not over and can't be repeated yet.
	ErrNotFinal = errors.New("job is not over")
	// ErrNoEntry: the log has no entry of that id.
	ErrNoEntry = errors.New("no such log entry")
	// ErrLogFull: the attempt's log has reached its bound.
	ErrLogFull = errors.New("log is full")
)

// Store is everything a frontend keeps. Its parts are what single rooms of the frontend ask for.
type Store interface {
	Jobs
	Leases
	Logs
	Executors
	// Close waits for running calls and releases the store.
	Close() error
}

// Jobs is the clients' side.
type Jobs interface {
	// Submit stores a new queued job.
	Submit(ctx context.Context, job NewJob) (Job, error)
	// Job returns a job with its attempts (without log entries) or ErrNotFound.
	Job(ctx context.Context, id int64) (Job, error)
	// List returns up to filter.Limit jobs without spec and attempts, newest (highest id) first.
	List(ctx context.Context, filter Filter) ([]Job, error)
	// Cancel makes a queued or errored job canceled at once and asks the executor of a processing one to stop. Idempotent until
	// the job is final; then ErrFinal. Returns the job as it is after the call.
	Cancel(ctx context.Context, id int64) (Job, error)
	// Retry submits a copy of a final job, secrets included, whose RetryOf is id; ErrNotFinal for a job that still goes on.
	Retry(ctx context.Context, id int64) (Job, error)
}

// Leases is the executors' side.
type Leases interface {
	// Lease takes the next due job of the first of the queues that has one: state processing, a new attempt (numbers grow by one),
	// and the token hash bound to it. Earlier attempts' tokens of the job end. ErrEmpty when nothing is due.
	Lease(ctx context.Context, request LeaseRequest) (Lease, error)
	// Renew extends the executor's leases on those of the ids that it holds, and tells which of them it should stop (canceled by
	// a user, or past their timeout). Ids that are not in known are not the executor's any more.
	Renew(ctx context.Context, executor string, ids []int64) (known, stop []int64, err error)
	// Finish ends an attempt and decides the job's next state (docs/state-machine.md). ErrLeaseLost changes nothing.
	Finish(ctx context.Context, holder Holder, outcome Outcome) (Job, error)
	// Expire ends the attempts whose lease was not renewed for the store's lease time: the job is queued again, or canceled when a cancel
	// was asked for, or failed after MaxResets. It returns the jobs that it changed. Until it has ended a lease, the holder may still renew
	// and write.
	Expire(ctx context.Context) ([]Job, error)
	// Token returns the lease that a token hash belongs to, or ErrNotFound when there is none or it has ended: by Finish, by a
	// newer lease, or by the Expire that found it expired.
	Token(ctx context.Context, hash [32]byte) (Lease, error)
}

// Logs keeps every attempt's log: entries, and one append-only sequence of output bytes in order of arrival. Each piece of
// the sequence belongs to one entry.
type Logs interface {
	// AddEntry appends an entry with the output it already has and returns its id, counting from 1 within the attempt.
	// ErrLeaseLost unless holder holds the job's lease. Output beyond the log's bound is dropped.
	AddEntry(ctx context.Context, holder Holder, entry api.ExecutionLogEntry) (int, error)
	// UpdateEntry replaces an entry. Output that begins with the output so far appends the rest to the sequence; other output is
	// appended whole and marked as a reset; a reset to no output is told with the entry's next byte. ErrLeaseLost, ErrNoEntry or
	// ErrLogFull; with the last, all other members and as much of the output as fits are stored.
	UpdateEntry(ctx context.Context, holder Holder, id int, entry api.ExecutionLogEntry) error
	// Entries returns an attempt's entries by id.
	Entries(ctx context.Context, jobID int64, attempt int) ([]jobs.Entry, error)
	// ReadLog returns pieces of an attempt's output from a byte offset on, in order, up to about limit bytes; none at the end. The first
	// piece begins exactly at offset.
	ReadLog(ctx context.Context, jobID int64, attempt int, offset int64, limit int) ([]Piece, error)
}

// Executors keeps who was heard of.
type Executors interface {
	// Seen records a heartbeat, or a ping: one without telemetry or queues keeps those of the last heartbeat.
	Seen(ctx context.Context, executor Executor) error
	// Executors lists all that were heard of within a week or hold a lease, the newest first.
	Executors(ctx context.Context) ([]Executor, error)
	// Queues lists all queues that have or had a job, with counts, by name.
	Queues(ctx context.Context) ([]QueueCount, error)
}

// NewJob is a job to be stored.
type NewJob struct {
	// Spec is validated, its repository resolved to a commit. Secret values are kept apart from it and never come back from Job or List.
	Spec jobs.Spec
}

// Job is a stored job.
type Job struct {
	ID      int64
	Queue   string
	State   jobs.State
	Cancel  bool
	Reason  string
	RetryOf int64
	// QueuedAt is when the job was put into its queue for the last time.
	QueuedAt time.Time
	// StartedAt is when the current or last attempt began; zero while the job is queued.
	StartedAt time.Time
	// FinishedAt is zero until the job is final.
	FinishedAt time.Time
	// Executor of the current or last attempt.
	Executor string
	// Failures counts attempts that ended errored, failed or by timeout; Resets those whose lease was lost.
	Failures, Resets int
	Attempts         []jobs.Attempt
	// Spec has secret names but no values.
	Spec jobs.Spec
}

// Filter selects jobs. Zero members select everything.
type Filter struct {
	Queue  string
	States []jobs.State
	// Before selects ids below it; 0 for none.
	Before int64
	// Limit is positive.
	Limit int
}

// LeaseRequest asks for a job.
type LeaseRequest struct {
	// Queues in order of preference.
	Queues   []string
	Executor string
	// TokenHash is the SHA-256 of the job token's raw bytes, which only the executor gets.
	TokenHash [32]byte
}

// Lease is a job in an executor's hands.
type Lease struct {
	JobID    int64
	Queue    string
	Attempt  int
	Executor string
	// Spec has its secret values.
	Spec jobs.Spec
}

// Holder names a lease. Attempt 0 stands for the current one: executors that authenticate by the shared token name no attempt.
type Holder struct {
	JobID    int64
	Queue    string
	Executor string
	Attempt  int
}

// Result is what an executor says of an attempt.
type Result string

// Results, after the executor API's endpoints: Errored may be tried again, Fail may not.
const (
	Complete Result = "complete"
	Errored  Result = "errored"
	Fail     Result = "failed"
)

// Outcome is the end of an attempt.
type Outcome struct {
	Result  Result
	Message string
}

// Piece is a part of an attempt's output that belongs to one entry.
type Piece struct {
	Entry int
	// Offset of Data's first byte in the attempt's output.
	Offset int64
	Data   []byte
	Reset  bool
}

// Executor is what an executor last said of itself.
type Executor struct {
	Name      string
	Queues    []string
	Telemetry api.Telemetry
	// FirstSeenAt and LastSeenAt are set by the store.
	FirstSeenAt, LastSeenAt time.Time
	// Jobs are the ids it holds leases on; set by the store.
	Jobs []int64
}

// QueueCount counts a queue's jobs. Queued includes errored jobs that wait for their next attempt.
type QueueCount struct {
	Name               string
	Queued, Processing int
}

// MaxResets is how often a job whose lease was lost is put back before it fails (spec part A, A1).
const MaxResets = 3
