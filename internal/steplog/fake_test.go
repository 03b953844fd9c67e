package steplog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/mask"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// frontend is an Uploader that keeps what it is sent.
type frontend struct {
	mu sync.Mutex
	// fail, when set, decides the outcome of each call; what it refuses isn't kept.
	fail    func(ctx context.Context, call string) error
	calls   []string
	entries []api.ExecutionLogEntry
	// outs are all outputs that each entry was sent with.
	outs map[int][]string
}

func (f *frontend) AddEntry(ctx context.Context, entry api.ExecutionLogEntry) (int, error) {
	if err := f.called(ctx, "add "+entry.Key, entry); err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries = append(f.entries, entry)
	id := len(f.entries)
	f.keep(id, entry)
	return id, nil
}

func (f *frontend) UpdateEntry(ctx context.Context, id int, entry api.ExecutionLogEntry) error {
	if err := f.called(ctx, "update "+entry.Key, entry); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if id < 1 || id > len(f.entries) || f.entries[id-1].Key != entry.Key {
		return fmt.Errorf("entry %d is not %q", id, entry.Key)
	}
	f.entries[id-1] = entry
	f.keep(id, entry)
	return nil
}

func (f *frontend) called(ctx context.Context, call string, entry api.ExecutionLogEntry) error {
	if entry.ExitCode != nil {
		call += " " + fmt.Sprint(*entry.ExitCode)
	}
	f.mu.Lock()
	f.calls = append(f.calls, call)
	fail := f.fail
	f.mu.Unlock()
	if fail != nil {
		return fail(ctx, call)
	}
	return nil
}

func (f *frontend) keep(id int, entry api.ExecutionLogEntry) {
	if f.outs == nil {
		f.outs = map[int][]string{}
	}
	f.outs[id] = append(f.outs[id], entry.Out)
}

func (f *frontend) setFail(fail func(ctx context.Context, call string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

// takeCalls returns the calls since it was last asked.
func (f *frontend) takeCalls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

// entry returns the entry with an id as it was last sent.
func (f *frontend) entry(id int) api.ExecutionLogEntry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.entries[id-1]
}

// bundle is a log on a fake frontend, in a bubble where time stands still but for advance.
type bundle struct {
	*Logger
	frontend *frontend
}

var errDown = errors.New("frontend is down")

func setup(t *testing.T, secrets map[string]string, options Options) bundle {
	f := &frontend{}
	b := bundle{New(f, mask.New(secrets), options), f}
	t.Cleanup(func() {
		canceled, cancel := context.WithCancel(context.Background())
		cancel()
		_ = b.Flush(canceled)
	})
	return b
}

// advance lets virtual time pass and everything happen that is due.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// flush ends the log with time to spare.
func (b bundle) flush(t require.TestingT) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	require.NoError(t, b.Flush(ctx))
}

// write writes to one of the three ways into an entry.
func write(t require.TestingT, w interface{ Write([]byte) (int, error) }, text string) {
	n, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.Equal(t, len(text), n)
}

func requireGrowing(t require.TestingT, outs []string) {
	for i := 1; i < len(outs); i++ {
		require.True(t, strings.HasPrefix(outs[i], outs[i-1]), "%q does not begin with %q", outs[i], outs[i-1])
	}
}
