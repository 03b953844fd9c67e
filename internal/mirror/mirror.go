// Package mirror is a pull-through cache of one upstream registry. The CNCF distribution does the protocol, the storing and the proxying;
// what it lacks for a machine that nobody looks after is here: one fetch for many who ask, content that is checked before it is served,
// eviction by age and disk, an upstream that may hang or be away, and a health that is measured by pulling.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/opencontainers/go-digest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sourcegraph/log"
	"golang.org/x/sync/singleflight"

	"github.com/open-executor/executor/internal/mirror/origin"
	"github.com/open-executor/executor/internal/mirror/shelf"
)

// Config is what a Mirror needs to know.
type Config struct {
	// Dir is the directory of this upstream's content; no other mirror uses it.
	Dir string
	// Upstream is the registry's root.
	Upstream *url.URL
	// Credentials are for the upstream; nil for none.
	Credentials func() (user, password string, err error)
	// Limits say what is evicted, every EvictEvery (a minute when 0).
	Limits     shelf.Limits
	EvictEvery time.Duration
	// HealthImage is pulled to see whether the mirror works, such as library/hello-world:latest; "" only looks at the disk.
	HealthImage string
	// HealthEvery is how long a finding of health is repeated, 30 seconds when 0.
	HealthEvery time.Duration
	// HeaderTimeout, IdleTimeout and MaxBlob are origin.Config's.
	HeaderTimeout, IdleTimeout time.Duration
	MaxBlob                    int64
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

const (
	// fetchTimeout bounds the fetching of one blob, askTimeout that of a manifest.
	fetchTimeout = time.Hour
	askTimeout   = time.Minute
	// maxFetches bounds how many blobs are fetched at a time.
	maxFetches = 16
)

// Mirror serves what its upstream has. It is an http.Handler for the registry's API, for pulling only.
type Mirror struct {
	config  Config
	logger  log.Logger
	shelf   *shelf.Shelf
	origin  *origin.Client
	app     *handlers.App
	metrics *metrics
	health  health

	// ctx ends with Close; running are the goroutines that fetch and evict.
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	asking  singleflight.Group
	fetches chan struct{}
	// fetched has an element when a blob was fetched since the disk was looked at.
	fetched chan struct{}

	mu      sync.Mutex
	closed  bool
	flights map[digest.Digest]*flight
	// writing counts the fetches into each repository.
	writing map[string]int
}

// New opens the data directory and begins to keep it within its limits. Its metrics are registered at reg. The upstream need not be there.
func New(logger log.Logger, config Config, reg prometheus.Registerer) (*Mirror, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.EvictEvery == 0 {
		config.EvictEvery = time.Minute
	}
	if config.HealthEvery == 0 {
		config.HealthEvery = 30 * time.Second
	}
	m := &Mirror{
		config:  config,
		logger:  logger,
		metrics: newMetrics(reg),
		fetches: make(chan struct{}, maxFetches),
		fetched: make(chan struct{}, 1),
		flights: make(map[digest.Digest]*flight),
		writing: make(map[string]int),
	}
	var err error
	if m.shelf, err = shelf.Open(config.Dir, config.Now); err != nil {
		return nil, err
	}
	m.origin = origin.New(origin.Config{
		URL: config.Upstream, Credentials: config.Credentials, HeaderTimeout: config.HeaderTimeout, IdleTimeout: config.IdleTimeout,
		MaxBlob: config.MaxBlob, Now: config.Now, Observe: m.metrics.upstream, Received: func(n int64) { m.metrics.fetched.Add(float64(n)) },
	})
	m.ctx, m.cancel = context.WithCancel(context.Background())
	if m.app, err = newApp(m.ctx, logger, config.Dir, m.origin); err != nil {
		m.cancel()
		return nil, errors.Join(err, m.shelf.Close())
	}
	if err := m.evict(); err != nil {
		m.logger.Error("the cache could not be looked through; it is tried again", log.Error(err))
	}
	m.running.Go(m.keep)
	return m, nil
}

// Close ends what is being fetched, waits for it and gives the directory up. The caller has ended the requests before.
func (m *Mirror) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	m.running.Wait()
	err := m.app.Shutdown()
	m.origin.Close()
	return errors.Join(err, m.shelf.Close())
}

// start runs a function that Close waits for; false when the mirror is closed.
func (m *Mirror) start(run func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.running.Go(run)
	return true
}

// keep evicts from time to time, and at once when a fetch has brought the disk above its high mark.
func (m *Mirror) keep() {
	ticker := time.NewTicker(m.config.EvictEvery)
	defer ticker.Stop()
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-m.fetched:
			if !m.shelf.Full(m.config.Limits) {
				continue
			}
		case <-ticker.C:
		}
		if err := m.evict(); err != nil && m.ctx.Err() == nil {
			m.logger.Error("eviction from the cache failed; it is tried again", log.Error(err))
		}
	}
}

func (m *Mirror) evict() error {
	result, err := m.shelf.Evict(m.ctx, m.config.Limits)
	m.metrics.evicted(result, m.config.Now())
	for reason, count := range result.Blobs {
		m.logger.Info("evicted from the cache", log.String("reason", string(reason)), log.Int64("blobs", count), log.Int64("bytes", result.Bytes[reason]))
	}
	if result.Short {
		m.logger.Warn("the disk is above its high mark, and nothing more of this mirror's can go: all is in use or not its own", log.Int64("bytes", result.Kept))
	}
	return err
}

// drop removes content that is not what its digest says.
func (m *Mirror) drop(d digest.Digest) error {
	m.logger.Error("content on the disk is damaged: it is dropped and fetched again", log.String("digest", d.String()))
	m.metrics.dropped(m.config.Now())
	if err := m.shelf.Drop(d); err != nil {
		return fmt.Errorf("dropping damaged content %s: %w", d, err)
	}
	return nil
}

var _ http.Handler = (*Mirror)(nil)
