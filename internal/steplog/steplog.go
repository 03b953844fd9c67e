// Package steplog keeps one job's log: it takes the bytes that commands print, masks them, and sends them to the frontend as
// entries (spec section 6).
//
// Bytes of an entry go through
//
//	writer → mask.Stream → lines → buffer → upload loop → Uploader
//
// Everything up to the buffer happens inside the writer's call. The buffer only ever grows, by whole lines of valid UTF-8, so
// that each upload's output begins with the one before. The upload loop is one goroutine, which sends entries in the order in
// which they were opened; a writer never waits for it.
package steplog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/mask"
)

// Uploader sends entries to the frontend. It is called from one goroutine at a time and returns soon after its context ends.
// Errors of class fault.Infrastructure are retried, so that an entry whose addition was stored but not acknowledged is added
// twice; others are final.
type Uploader interface {
	// AddEntry appends an entry to the job's log and returns its id.
	AddEntry(ctx context.Context, entry api.ExecutionLogEntry) (int, error)
	// UpdateEntry replaces an entry that AddEntry returned id for.
	UpdateEntry(ctx context.Context, id int, entry api.ExecutionLogEntry) error
}

// Options steer a Logger. Zero and negative values mean the default.
type Options struct {
	// Logger hears of uploads that fail; nil for nobody.
	Logger log.Logger
	// MaxEntryBytes bounds an entry's output; 100 MiB by default. What comes after is counted, not kept. Notes may go beyond it
	// by NoteReserve bytes.
	MaxEntryBytes int
	// MaxLineBytes is the length beyond which a line is cut in pieces; MaxEntryBytes by default, and at most.
	MaxLineBytes int
	// MaxPending is how many entries may be open or wait for their upload; 50 by default.
	MaxPending int
	// OpenTimeout is how long Open waits when there are that many, before it gives the entry up; 2 min by default.
	OpenTimeout time.Duration
	// Interval is the time between updates of an entry that grows; 1 s by default. It is longer when updates take long.
	Interval time.Duration
	// CallTimeout bounds each call of the Uploader; 1 min by default.
	CallTimeout time.Duration
	// RetryFor is how long additions and last updates are repeated in one outage, which ends with the next call that succeeds; 1 min
	// by default. After that each is tried once.
	RetryFor time.Duration
	// Records are those of a log of the same job that did not come to its end. The entries that it opened are opened again, and are the same ones: what it has
	// sent of them is sent again from its beginning, but for entries that were done, which take nothing more.
	Records []Record
	// Changed is called, and must return at once, when Records has changed; nil for nobody.
	Changed func()
}

// NoteReserve is how many bytes of notes an entry takes after its output has reached its bound, so that the reason of an end is
// not lost with the output.
const NoteReserve = 64 << 10

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = log.NoOp()
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	o.MaxEntryBytes = cmp.Or(max(o.MaxEntryBytes, 0), 100<<20)
	o.MaxLineBytes = min(cmp.Or(max(o.MaxLineBytes, 0), o.MaxEntryBytes), o.MaxEntryBytes)
	o.MaxPending = cmp.Or(max(o.MaxPending, 0), 50)
	o.OpenTimeout = cmp.Or(max(o.OpenTimeout, 0), 2*time.Minute)
	o.Interval = cmp.Or(max(o.Interval, 0), time.Second)
	o.CallTimeout = cmp.Or(max(o.CallTimeout, 0), time.Minute)
	o.RetryFor = cmp.Or(max(o.RetryFor, 0), time.Minute)
	return o
}

// Logger is one job's log. It is safe for concurrent use. Flush ends it and must be called.
type Logger struct {
	uploader Uploader
	masker   *mask.Masker
	options  Options

	// uploads is the context of all uploads. It is the logger's own: a job that was canceled still has its log sent.
	uploads context.Context
	stop    context.CancelCauseFunc
	// wake tells the upload loop that an entry was opened or closed, or that Flush began.
	wake chan struct{}
	// slots holds one element per pending entry.
	slots    chan struct{}
	flushing chan struct{}
	done     chan struct{}

	mu      sync.Mutex
	ended   bool
	pending []*entry
	errs    []error
	records []Record
	// again tells of each record of the log before this one whether its entry has yet to be opened again.
	again []bool
	// removed is closed when an entry is no longer pending.
	removed chan struct{}

	// outage is when additions and last updates began to fail; the zero time while calls succeed. Used by the upload loop only.
	outage time.Time
}

var _ command.Log = (*Logger)(nil)

// New starts a job's log.
func New(uploader Uploader, masker *mask.Masker, options Options) *Logger {
	options = options.withDefaults()
	uploads, stop := context.WithCancelCause(context.Background())
	l := &Logger{
		uploader: uploader,
		masker:   masker,
		options:  options,
		uploads:  uploads,
		stop:     stop,
		wake:     make(chan struct{}, 1),
		slots:    make(chan struct{}, options.MaxPending),
		flushing: make(chan struct{}),
		done:     make(chan struct{}),
		records:  slices.Clone(options.Records),
		again:    slices.Repeat([]bool{true}, len(options.Records)),
		removed:  make(chan struct{}),
	}
	go l.upload()
	return l
}

// Open starts an entry. It waits while MaxPending entries are open or wait for their upload, at most OpenTimeout: then the
// entry takes bytes like any other but isn't sent, which Flush tells. The same goes for entries that are opened after Flush.
func (l *Logger) Open(key string, words []string) command.Entry {
	timeout := time.NewTimer(l.options.OpenTimeout)
	defer timeout.Stop()
	select {
	case l.slots <- struct{}{}:
		if e := l.open(key, words); e != nil {
			return e
		}
		<-l.slots
	case <-l.flushing:
	case <-timeout.C:
		l.remember(key, fmt.Errorf("dropped, since %d others were still open or unsent after %s", l.options.MaxPending, l.options.OpenTimeout))
	}
	l.options.Logger.Warn("log entry is dropped", log.String("key", key))
	e := newEntry(l, key, nil)
	e.drop()
	return e
}

// open makes an entry that is pending; nil when the log has ended.
func (l *Logger) open(key string, words []string) *entry {
	defer l.options.Changed()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil
	}
	e := l.enter(key, words)
	if l.records[e.number].Done {
		e.drop()
		<-l.slots
		return e
	}
	l.pending = append(l.pending, e)
	l.notify()
	return e
}

// Flush ends the log: no new entries are taken, those still open are closed with exit code -1 and a note, and all is sent. It
// returns when that is done or ctx has ended, whichever is first. The error joins an infrastructure error for each entry that
// did not reach the frontend whole. Later calls answer likewise.
func (l *Logger) Flush(ctx context.Context) error {
	l.mu.Lock()
	if !l.ended {
		l.ended = true
		close(l.flushing)
	}
	l.mu.Unlock()
	entries, _ := l.snapshot()
	for _, e := range entries {
		e.abandon()
	}
	l.notify()
	select {
	case <-l.done:
	case <-ctx.Done():
		l.stop(fmt.Errorf("not all of it was sent in time: %w", context.Cause(ctx)))
	}
	// Frees the context where nothing was stopped.
	l.stop(nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	errs := slices.Clone(l.errs)
	for _, e := range l.pending {
		errs = append(errs, entryError(e.key, context.Cause(l.uploads)))
	}
	return errors.Join(errs...)
}

// maskWords masks a command's words; nil stays nil.
func (l *Logger) maskWords(words []string) []string {
	if words == nil {
		return nil
	}
	masked := make([]string, len(words))
	for i, word := range words {
		masked[i] = l.masker.String(word)
	}
	return masked
}

func (l *Logger) notify() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *Logger) remember(key string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, entryError(key, err))
}

func entryError(key string, err error) error {
	return fault.Infrastructuref("log entry %q: %w", key, err)
}
