// Package jobsapi is the frontend's room for people and their programs: /api/v1, described by openapi.yaml. Every answer has a
// Content-Type, and every error the one shape of jobs.ErrorBody.
package jobsapi

import (
	"context"
	"errors"
	"net/http"
	"path"
	"runtime/debug"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/jobfile"
	"github.com/open-executor/executor/internal/store"
)

// Prefix is the path below which the handler answers.
const Prefix = "/api/v1"

// Store is what the jobs API needs of a store.
type Store interface {
	store.Jobs
	LogReader
	Fleet
}

// LogReader is a store's logs for reading.
type LogReader interface {
	Entries(ctx context.Context, jobID int64, attempt int) ([]jobs.Entry, error)
	ReadLog(ctx context.Context, jobID int64, attempt int, offset int64, limit int) ([]store.Piece, error)
}

// Fleet is who was heard of, and what waits.
type Fleet interface {
	Executors(ctx context.Context) ([]store.Executor, error)
	Queues(ctx context.Context) ([]store.QueueCount, error)
}

// Resolver turns what a job names into a commit, once, at submission. Safe for concurrent use.
type Resolver interface {
	// Resolve returns the full id of the commit that revision, a branch, tag or commit, names in the repository now. Errors of
	// class fault.User say that there is no such repository or revision; others that it could not be found out.
	Resolve(ctx context.Context, repository, revision string) (commit string, err error)
}

// Config holds what has defaults.
type Config struct {
	// Version is the frontend's own, by which executors' versions are judged; "dev" when empty.
	Version string
	// MaxBodyBytes bounds a submission; jobfile.DefaultMaxBytes when 0.
	MaxBodyBytes int
	// KeepAlive is the time between signs of life on an idle stream; 15 s when 0.
	KeepAlive time.Duration
	// IOTimeout bounds how long a client may take to send a body, and to take in one write of an answer; 30 s when 0.
	IOTimeout time.Duration
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

func (c Config) withDefaults() (Config, error) {
	if c.MaxBodyBytes < 0 || c.KeepAlive < 0 || c.IOTimeout < 0 {
		return c, errors.New("jobs API: limits can't be negative")
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.MaxBodyBytes == 0 {
		c.MaxBodyBytes = jobfile.DefaultMaxBytes
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = 15 * time.Second
	}
	if c.IOTimeout == 0 {
		c.IOTimeout = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

// Handler serves the jobs API. Safe for concurrent use.
type Handler struct {
	logger   log.Logger
	store    Store
	hub      *notify.Hub
	resolver Resolver
	token    [32]byte
	config   Config
	mux      *http.ServeMux

	// stopping ends open streams.
	stopping context.Context
	stop     context.CancelFunc
}

// New makes a handler that asks for the token on every path but those of its descriptions. The hub must be the one that the
// executors' side wakes.
func New(logger log.Logger, store Store, hub *notify.Hub, resolver Resolver, token string, config Config) (*Handler, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if token == "" {
		return nil, fault.Operatorf("the jobs API needs a token: set FRONTEND_API_TOKEN, or leave it out to have one made")
	}
	h := &Handler{logger: logger, store: store, hub: hub, resolver: resolver, token: hashToken(token), config: config}
	h.stopping, h.stop = context.WithCancel(context.Background())
	h.mux = h.routes()
	return h, nil
}

// EndStreams ends all open streams, and those opened from now on, telling clients to come back. It doesn't wait for them; call
// it before http.Server.Shutdown, which does. Idempotent.
func (h *Handler) EndStreams() { h.stop() }

// ServeHTTP implements http.Handler for all paths below Prefix, and answers 404 for others.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := &answer{ResponseWriter: w, timeout: h.config.IOTimeout}
	defer h.recover(answer, r)
	// The connection's next request may be another room's, with deadlines of its own.
	defer answer.limit((*http.ResponseController).SetWriteDeadline, 0)
	answer.Header().Set("Cache-Control", "no-store")
	answer.Header().Set("X-Content-Type-Options", "nosniff")
	if path.Clean(r.URL.Path) != r.URL.Path {
		// The mux would redirect, in HTML.
		answer.fail(errNoPath(r.URL.Path))
		return
	}
	h.mux.ServeHTTP(answer, r)
}

func (h *Handler) recover(w *answer, r *http.Request) {
	failure := recover()
	if failure == nil {
		return
	}
	if failure != http.ErrAbortHandler { //nolint:errorlint // net/http compares it the same way
		h.logger.Error("a request to the jobs API panicked", log.String("method", r.Method), log.String("path", r.URL.Path),
			log.String("stack", string(debug.Stack())))
		if !w.started {
			w.fail(errInternal())
			return
		}
	}
	// The answer is under way: cutting it is the only way left to say that it is not whole.
	panic(http.ErrAbortHandler)
}

// internal logs an error that is ours and returns what its caller is told.
func (h *Handler) internal(r *http.Request, err error) error {
	if r.Context().Err() != nil {
		return errClientGone
	}
	h.logger.Error("a request to the jobs API failed", log.String("method", r.Method), log.String("path", r.URL.Path), log.Error(err))
	return errInternal()
}
