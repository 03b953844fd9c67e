package executorapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/frontend/dispatch"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/store"
)

// Prefix is where the handler is mounted.
const Prefix = "/.executors/"

// Leases is what the handler asks of the store about leases; see store.Leases for what the methods promise.
type Leases interface {
	Lease(ctx context.Context, request store.LeaseRequest) (store.Lease, error)
	Renew(ctx context.Context, executor string, ids []int64) (known, stop []int64, err error)
	Finish(ctx context.Context, holder store.Holder, outcome store.Outcome) (store.Job, error)
	Token(ctx context.Context, hash [32]byte) (store.Lease, error)
}

// Logs is what it asks about logs; see store.Logs.
type Logs interface {
	AddEntry(ctx context.Context, holder store.Holder, entry api.ExecutionLogEntry) (int, error)
	UpdateEntry(ctx context.Context, holder store.Holder, id int, entry api.ExecutionLogEntry) error
	Entries(ctx context.Context, jobID int64, attempt int) ([]jobs.Entry, error)
}

// Executors is what it asks about executors; see store.Executors.
type Executors interface {
	Seen(ctx context.Context, executor store.Executor) error
	Executors(ctx context.Context) ([]store.Executor, error)
}

// Store is the part of store.Store that executors reach.
type Store interface {
	Leases
	Logs
	Executors
}

// Git serves a repository by name over git's smart HTTP protocol. Endpoint is "info/refs" or "git-upload-pack". It must be safe
// for concurrent use; the caller has checked that the client may read the repository.
type Git interface {
	ServeGit(w http.ResponseWriter, r *http.Request, repository, endpoint string)
}

// Config is the rest of what a Handler needs. The zero value of everything but Token is usable.
type Config struct {
	// Token is the shared token of all executors. While it is empty, every G route answers that executors are not configured.
	Token string
	// Weights of queues in dequeues over several queues; nil means dispatch.DefaultWeights.
	Weights map[string]int
	// Metrics takes the executors' relayed metrics; nil drops them.
	Metrics *Relay
	// MaxWait bounds the time that a dequeue may wait for a job; 0 means 60 s.
	MaxWait time.Duration
	// Recheck is how often a waiting dequeue looks at the store although nobody woke it, for jobs that other processes submit
	// and those whose delay ends; 0 means 5 s.
	Recheck time.Duration
}

// Handler answers executors. Safe for concurrent use.
type Handler struct {
	logger   log.Logger
	store    Store
	hub      *notify.Hub
	git      Git
	config   Config
	rotation *dispatch.Rotation

	stopping chan struct{}
	stop     sync.Once
}

// New makes a handler for everything below Prefix. The hub must be the one that submissions wake.
func New(logger log.Logger, executors Store, hub *notify.Hub, git Git, config Config) (*Handler, error) {
	if executors == nil || hub == nil || git == nil {
		return nil, errors.New("executorapi: store, hub and git are required")
	}
	if config.MaxWait < 0 || config.Recheck < 0 {
		return nil, fmt.Errorf("executorapi: MaxWait %s and Recheck %s must not be negative", config.MaxWait, config.Recheck)
	}
	if config.Weights == nil {
		config.Weights = dispatch.DefaultWeights()
	}
	if config.MaxWait == 0 {
		config.MaxWait = 60 * time.Second
	}
	if config.Recheck == 0 {
		config.Recheck = 5 * time.Second
	}
	return &Handler{
		logger:   logger,
		store:    executors,
		hub:      hub,
		git:      git,
		config:   config,
		rotation: dispatch.NewRotation(config.Weights),
		stopping: make(chan struct{}),
	}, nil
}

// Stop ends waiting dequeues at once, and no later one leases or waits, so that a graceful shutdown of the server is quick. Everything
// else goes on being answered: executors that run jobs lose nothing. Idempotent.
func (h *Handler) Stop() { h.stop.Do(func() { close(h.stopping) }) }

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, Prefix)
	if !ok {
		http.NotFound(w, r)
		return
	}
	found, ok := h.route(path)
	if !ok {
		if _, ok := h.route(strings.TrimSuffix(path, "/")); ok && strings.HasSuffix(path, "/") {
			redirectToStrict(w, r)
			return
		}
		http.NotFound(w, r)
		return
	}
	if len(found.methods) > 0 && !slices.Contains(found.methods, r.Method) {
		w.Header().Set("Allow", strings.Join(found.methods, ", "))
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	found.serve(w, r)
}

// redirectToStrict sends the client to the path without its trailing slash. 308 keeps the method and body of a POST.
func redirectToStrict(w http.ResponseWriter, r *http.Request) {
	target := *r.URL
	target.Path, target.RawPath = strings.TrimSuffix(target.Path, "/"), ""
	target.Scheme, target.Host, target.User = "", "", nil
	status := http.StatusMovedPermanently
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		status = http.StatusPermanentRedirect
	}
	http.Redirect(w, r, target.String(), status)
}

// storeTimeout bounds each use of the store.
const storeTimeout = 30 * time.Second

// storeContext is for changes of the store: a client that goes away must not leave the outcome of a change unknown.
func storeContext(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), storeTimeout)
}

// changed wakes all who wait for a job that just changed.
func (h *Handler) changed(job store.Job) { dispatch.Announce(h.hub, job) }
