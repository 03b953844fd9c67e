package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/store"
)

var logTests = map[string]func(t *testing.T, b *bundle){
	"LogEntries":      logEntries,
	"LogAppends":      logAppends,
	"LogInterleaves":  logInterleaves,
	"LogReset":        logReset,
	"LogResetToEmpty": logResetToEmpty,
	"LogOffsets":      logOffsets,
	"LogUTF8":         logUTF8,
	"LogLarge":        logLarge,
	"LogFull":         logFull,
	"LogFullAtOnce":   logFullAtOnce,
	"LogManyEntries":  logManyEntries,
	"LogPerAttempt":   logPerAttempt,
	"LogNoEntry":      logNoEntry,
}

func (b *bundle) addEntry(lease store.Lease, out string) int {
	b.t.Helper()
	id, err := b.store.AddEntry(b.ctx, holder(lease), api.ExecutionLogEntry{Key: "step.docker.0", Out: out})
	require.NoError(b.t, err)
	return id
}

func (b *bundle) updateEntry(lease store.Lease, id int, out string) {
	b.t.Helper()
	require.NoError(b.t, b.store.UpdateEntry(b.ctx, holder(lease), id, api.ExecutionLogEntry{Key: "step.docker.0", Out: out}))
}

func (b *bundle) entries(id int64, attempt int) []jobs.Entry {
	b.t.Helper()
	entries, err := b.store.Entries(b.ctx, id, attempt)
	require.NoError(b.t, err)
	return entries
}

// pieces reads a log from an offset to its end in reads of limit bytes and checks that they join without holes.
func (b *bundle) pieces(id int64, attempt int, offset int64, limit int) []store.Piece {
	b.t.Helper()
	var all []store.Piece
	for {
		pieces, err := b.store.ReadLog(b.ctx, id, attempt, offset, limit)
		require.NoError(b.t, err)
		if len(pieces) == 0 {
			return all
		}
		size := 0
		for _, piece := range pieces {
			require.Equal(b.t, offset, piece.Offset)
			require.NotEmpty(b.t, piece.Data)
			offset += int64(len(piece.Data))
			size += len(piece.Data)
		}
		require.LessOrEqual(b.t, size, limit+utf8.UTFMax-1)
		all = append(all, pieces...)
	}
}

// log is an attempt's whole log.
func (b *bundle) log(id int64, attempt int) string {
	b.t.Helper()
	return joined(b.pieces(id, attempt, 0, 1<<20))
}

func joined(pieces []store.Piece) string {
	var text strings.Builder
	for _, piece := range pieces {
		text.Write(piece.Data)
	}
	return text.String()
}

// outputs is what a reader makes of pieces: each entry's output.
func outputs(pieces []store.Piece) map[int]string {
	outputs := make(map[int]string)
	for _, piece := range pieces {
		if piece.Reset {
			outputs[piece.Entry] = ""
		}
		outputs[piece.Entry] += string(piece.Data)
	}
	return outputs
}

func (b *bundle) running(queue string) store.Lease {
	b.t.Helper()
	b.submit(queue)
	return b.lease(executor, queue)
}

func logEntries(t *testing.T, b *bundle) {
	lease := b.running(queue)
	require.Empty(t, b.entries(lease.JobID, 1))
	code, took := 137, 1500
	started := time.Date(2026, 3, 14, 15, 9, 30, 123_456_000, time.UTC)
	id, err := b.store.AddEntry(b.ctx, holder(lease), api.ExecutionLogEntry{
		Key: "setup.git.clone", Command: []string{"git", "clone"}, StartTime: started.In(time.FixedZone("", 7200)),
	})
	require.NoError(t, err)
	require.Equal(t, 1, id)
	id, err = b.store.AddEntry(b.ctx, holder(lease), api.ExecutionLogEntry{Key: "note"})
	require.NoError(t, err)
	require.Equal(t, 2, id)
	require.Equal(t, []jobs.Entry{
		{ID: 1, Key: "setup.git.clone", Command: []string{"git", "clone"}, StartedAt: started},
		{ID: 2, Key: "note"},
	}, b.entries(lease.JobID, 1))

	err = b.store.UpdateEntry(b.ctx, holder(lease), 1, api.ExecutionLogEntry{
		Key: "setup.git.clone", Command: []string{"git", "clone", "x"}, StartTime: started, ExitCode: &code, DurationMs: &took,
	})
	require.NoError(t, err)
	require.Equal(t, jobs.Entry{
		ID: 1, Key: "setup.git.clone", Command: []string{"git", "clone", "x"}, StartedAt: started, ExitCode: &code, DurationMs: &took,
	}, b.entries(lease.JobID, 1)[0])
	require.Empty(t, b.log(lease.JobID, 1))
}

func logAppends(t *testing.T, b *bundle) {
	lease := b.running(queue)
	id := b.addEntry(lease, "one\n")
	b.updateEntry(lease, id, "one\ntwo\n")
	b.updateEntry(lease, id, "one\ntwo\n")
	b.updateEntry(lease, id, "one\ntwo\nthree")
	require.Equal(t, []store.Piece{
		{Entry: 1, Offset: 0, Data: []byte("one\n")},
		{Entry: 1, Offset: 4, Data: []byte("two\n")},
		{Entry: 1, Offset: 8, Data: []byte("three")},
	}, b.pieces(lease.JobID, 1, 0, 100))
}

func logInterleaves(t *testing.T, b *bundle) {
	lease := b.running(queue)
	one, two := b.addEntry(lease, "a"), b.addEntry(lease, "")
	b.updateEntry(lease, two, "B")
	b.updateEntry(lease, one, "ab")
	b.updateEntry(lease, two, "BC")
	require.Equal(t, "aBbC", b.log(lease.JobID, 1), "in order of arrival")
	require.Equal(t, map[int]string{one: "ab", two: "BC"}, outputs(b.pieces(lease.JobID, 1, 0, 1)))
}

func logReset(t *testing.T, b *bundle) {
	lease := b.running(queue)
	id := b.addEntry(lease, "secret is abc")
	b.updateEntry(lease, id, "secret is ***, go on")
	b.updateEntry(lease, id, "secret is ***, go on and on")
	b.updateEntry(lease, id, "short")
	require.Equal(t, []store.Piece{
		{Entry: 1, Offset: 0, Data: []byte("secret is abc")},
		{Entry: 1, Offset: 13, Data: []byte("secret is ***, go on"), Reset: true},
		{Entry: 1, Offset: 33, Data: []byte(" and on")},
		{Entry: 1, Offset: 40, Data: []byte("short"), Reset: true},
	}, b.pieces(lease.JobID, 1, 0, 100))

	pieces, err := b.store.ReadLog(b.ctx, lease.JobID, 1, 20, 5)
	require.NoError(t, err)
	require.Equal(t, []store.Piece{{Entry: 1, Offset: 20, Data: []byte("is **")}}, pieces, "the reset was told before")
}

func logResetToEmpty(t *testing.T, b *bundle) {
	lease := b.running(queue)
	id := b.addEntry(lease, "abc")
	b.updateEntry(lease, id, "")
	require.Equal(t, "abc", b.log(lease.JobID, 1))
	b.updateEntry(lease, id, "")
	b.updateEntry(lease, id, "d")
	b.updateEntry(lease, id, "de")
	require.Equal(t, []store.Piece{
		{Entry: 1, Offset: 0, Data: []byte("abc")},
		{Entry: 1, Offset: 3, Data: []byte("d"), Reset: true},
		{Entry: 1, Offset: 4, Data: []byte("e")},
	}, b.pieces(lease.JobID, 1, 0, 100), "a reset to nothing is told with the next byte")
}

func logOffsets(t *testing.T, b *bundle) {
	lease := b.running(queue)
	text := ""
	id := b.addEntry(lease, "")
	for i := range 8 {
		text += fmt.Sprintf("line %d\n", i)
		b.updateEntry(lease, id, text)
	}
	for offset := range len(text) + 1 {
		require.Equal(t, text[offset:], joined(b.pieces(lease.JobID, 1, int64(offset), 10)))
	}
	for _, offset := range []int{len(text), len(text) + 1, 1 << 40} {
		pieces, err := b.store.ReadLog(b.ctx, lease.JobID, 1, int64(offset), 10)
		require.NoError(t, err)
		require.Empty(t, pieces)
	}
	_, err := b.store.ReadLog(b.ctx, lease.JobID, 1, -1, 10)
	require.ErrorContains(t, err, "offset")
	_, err = b.store.ReadLog(b.ctx, lease.JobID, 1, 0, 0)
	require.ErrorContains(t, err, "limit")
}

func logUTF8(t *testing.T, b *bundle) {
	lease := b.running(queue)
	text := strings.Repeat("aß€😀", 30_000) // 300 KB: more than a row of any store may hold.
	id := b.addEntry(lease, text[:5*10])
	b.updateEntry(lease, id, text)
	for _, limit := range []int{1, 2, 3, 4, 5, 7, 100_001} {
		end := min(len(text), limit*40)
		pieces := b.pieces(lease.JobID, 1, int64(len(text)-end), limit)
		for _, piece := range pieces {
			require.True(t, utf8.Valid(piece.Data), "limit %d: a piece ends within a character", limit)
		}
		if utf8.ValidString(text[len(text)-end:]) {
			require.Equal(t, text[len(text)-end:], joined(pieces))
		}
	}
	for _, piece := range b.pieces(lease.JobID, 1, 0, 1<<20) {
		require.True(t, utf8.Valid(piece.Data))
	}

	mixed := b.running("mixed")
	b.addEntry(mixed, "a😀")
	b.addEntry(mixed, "b")
	for limit := 1; limit < 7; limit++ {
		require.Equal(t, "a😀b", joined(b.pieces(mixed.JobID, 1, 0, limit)), "nothing is left out after a piece that was cut")
	}

	broken := b.addEntry(lease, "\xff\xfe\x80\x80\x80\x80\x80")
	all := b.pieces(lease.JobID, 1, int64(len(text)), 2)
	require.Equal(t, "\xff\xfe\x80\x80\x80\x80\x80", outputs(all)[broken], "bytes that are no characters are kept")
}

func logLarge(t *testing.T, b *bundle) {
	lease := b.running(queue)
	text := strings.Repeat("0123456789abcdef", MaxLogBytes/32)
	id := b.addEntry(lease, text)
	b.updateEntry(lease, id, text+"end")
	require.Equal(t, text+"end", b.log(lease.JobID, 1))
	require.Equal(t, "efend", joined(b.pieces(lease.JobID, 1, int64(len(text)-2), 100)))
}

func logFull(t *testing.T, b *bundle) {
	lease := b.running(queue)
	first := b.addEntry(lease, strings.Repeat("x", MaxLogBytes-5))
	second := b.addEntry(lease, "ab")
	code := 0
	entry := api.ExecutionLogEntry{Key: "step.docker.1", Out: "abc€€", ExitCode: &code}
	require.ErrorIs(t, b.store.UpdateEntry(b.ctx, holder(lease), second, entry), store.ErrLogFull)
	want := strings.Repeat("x", MaxLogBytes-5) + "abc"
	require.Equal(t, want, b.log(lease.JobID, 1), "what fits is kept, in whole characters")
	require.Equal(t, jobs.Entry{ID: second, Key: "step.docker.1", ExitCode: &code}, b.entries(lease.JobID, 1)[1], "an exit code always has room")

	require.ErrorIs(t, b.store.UpdateEntry(b.ctx, holder(lease), second, entry), store.ErrLogFull)
	b.updateEntry(lease, second, "abc")
	require.ErrorIs(t, b.store.UpdateEntry(b.ctx, holder(lease), first, api.ExecutionLogEntry{Out: "€"}), store.ErrLogFull)
	require.Equal(t, want, b.log(lease.JobID, 1))

	third := b.addEntry(lease, "more than fits")
	require.Equal(t, want+"mo", b.log(lease.JobID, 1))
	require.ErrorIs(t, b.store.UpdateEntry(b.ctx, holder(lease), third, api.ExecutionLogEntry{Out: "more than fits"}), store.ErrLogFull)
	require.Equal(t, jobs.Completed, b.finish(lease, store.Complete, "").State, "a full log keeps no job from its end")
}

func logFullAtOnce(t *testing.T, b *bundle) {
	lease := b.running(queue)
	b.addEntry(lease, strings.Repeat("y", MaxLogBytes+1))
	require.Equal(t, strings.Repeat("y", MaxLogBytes), b.log(lease.JobID, 1))
	require.Equal(t, 2, b.addEntry(lease, "no room"))
	require.Len(t, b.entries(lease.JobID, 1), 2)
}

func logManyEntries(t *testing.T, b *bundle) {
	lease := b.running(queue)
	want := make(map[int]string)
	for i := range 300 {
		id := b.addEntry(lease, fmt.Sprintf("entry %d\n", i))
		require.Equal(t, i+1, id)
		want[id] = fmt.Sprintf("entry %d\n", i)
	}
	require.Equal(t, want, outputs(b.pieces(lease.JobID, 1, 0, 64)))
	entries := b.entries(lease.JobID, 1)
	require.Len(t, entries, 300)
	for i, entry := range entries {
		require.Equal(t, i+1, entry.ID)
	}
}

func logPerAttempt(t *testing.T, b *bundle) {
	first := b.running(queue)
	b.addEntry(first, "of attempt 1")
	b.clock.Advance(LeaseTime)
	b.expire()
	second := b.lease(executor, queue)
	require.Empty(t, b.log(second.JobID, 2))
	require.Equal(t, 1, b.addEntry(second, "of attempt 2"), "each attempt counts from 1")
	b.finish(second, store.Complete, "")
	require.Equal(t, "of attempt 1", b.log(first.JobID, 1), "logs of earlier attempts are kept")
	require.Equal(t, "of attempt 2", b.log(first.JobID, 2))
	require.Len(t, b.entries(first.JobID, 1), 1)
	_, err := b.store.ReadLog(b.ctx, first.JobID, 3, 0, 10)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = b.store.Entries(b.ctx, first.JobID, 0)
	require.ErrorIs(t, err, store.ErrNotFound)
}

func logNoEntry(t *testing.T, b *bundle) {
	lease := b.running(queue)
	b.addEntry(lease, "x")
	for _, id := range []int{0, -1, 2} {
		require.ErrorIs(t, b.store.UpdateEntry(b.ctx, holder(lease), id, api.ExecutionLogEntry{Out: "y"}), store.ErrNoEntry)
	}
	require.Equal(t, "x", b.log(lease.JobID, 1))
}
