package jobsapitest

import (
	"context"
	"crypto/sha256"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/store"
)

// Executor is the name of the executor that works on jobs.
const Executor = "executor-1"

// Run is an attempt in the executor's hands. Its methods wake readers like the executor API does; they may not be used
// concurrently.
type Run struct {
	ID      int64
	f       *Frontend
	holder  store.Holder
	entries []api.ExecutionLogEntry
}

// Lease takes the next job of a queue.
func (f *Frontend) Lease(queue string) *Run {
	f.t.Helper()
	lease, err := f.Store.Lease(context.Background(), store.LeaseRequest{Queues: []string{queue}, Executor: Executor,
		TokenHash: sha256.Sum256([]byte(strconv.FormatInt(f.Now().UnixNano(), 10) + queue))})
	require.NoError(f.t, err)
	r := &Run{ID: lease.JobID, f: f, holder: store.Holder{JobID: lease.JobID, Queue: queue, Executor: Executor, Attempt: lease.Attempt}}
	f.Hub.Wake(notify.Job(r.ID))
	return r
}

// Open opens an entry and returns its id.
func (r *Run) Open(key string, command ...string) int {
	r.f.t.Helper()
	entry := api.ExecutionLogEntry{Key: key, Command: command, StartTime: r.f.Now()}
	id, err := r.f.Store.AddEntry(context.Background(), r.holder, entry)
	require.NoError(r.f.t, err)
	r.entries = append(r.entries, entry)
	r.f.Hub.Wake(notify.Job(r.ID))
	return id
}

// Write appends to an entry's output.
func (r *Run) Write(id int, text string) {
	r.f.t.Helper()
	r.entries[id-1].Out += text
	r.update(id)
}

// Rewrite replaces an entry's output.
func (r *Run) Rewrite(id int, text string) {
	r.f.t.Helper()
	r.entries[id-1].Out = text
	r.update(id)
}

// Exit ends an entry, which took as long as the clock says.
func (r *Run) Exit(id, code int) {
	r.f.t.Helper()
	took := int(r.f.Now().Sub(r.entries[id-1].StartTime).Milliseconds())
	r.entries[id-1].ExitCode, r.entries[id-1].DurationMs = &code, &took
	r.update(id)
}

func (r *Run) update(id int) {
	r.f.t.Helper()
	require.NoError(r.f.t, r.f.Store.UpdateEntry(context.Background(), r.holder, id, r.entries[id-1]))
	r.f.Hub.Wake(notify.Job(r.ID))
}

// Step runs a whole step: each line of the output is one of standard output.
func (r *Run) Step(key, output string, code int) {
	r.f.t.Helper()
	id := r.Open(key, "docker", "run")
	for line := range strings.Lines(output) {
		r.Write(id, "stdout: "+line)
	}
	r.Exit(id, code)
}

// Finish ends the attempt.
func (r *Run) Finish(result store.Result, message string) {
	r.f.t.Helper()
	_, err := r.f.Store.Finish(context.Background(), r.holder, store.Outcome{Result: result, Message: message})
	require.NoError(r.f.t, err)
	r.f.Hub.Wake(notify.Job(r.ID))
}
