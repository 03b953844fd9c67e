package steplog

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/mask"
)

// piece is one write: to standard output, standard error, or as a note.
type piece struct{ way, text string }

// output writes the pieces, with an update after each, and returns the last output that was sent and all of them.
func output(t require.TestingT, b bundle, pieces []piece) (string, []string) {
	entry := b.Open("k", nil)
	for _, p := range pieces {
		write(t, way(entry, p.way), p.text)
		advance(time.Second)
	}
	entry.Close(0)
	synctest.Wait()
	id := len(b.frontend.entries)
	return b.frontend.entry(id).Out, b.frontend.outs[id]
}

func way(entry command.Entry, name string) interface{ Write([]byte) (int, error) } {
	switch name {
	case "out":
		return entry.Stdout()
	case "err":
		return entry.Stderr()
	}
	return entry
}

func TestLines(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		pieces []piece
		want   string
	}{
		"nothing":                      {nil, ""},
		"empty lines":                  {[]piece{{"out", "\n\n"}, {"err", "\n"}}, "stdout: \nstdout: \nstderr: \n"},
		"end without newline":          {[]piece{{"err", "e"}, {"out", "o"}}, "stdout: o\nstderr: e\n"},
		"streams don't mix in a line":  {[]piece{{"out", "one "}, {"err", "two\n"}, {"out", "three\n"}}, "stderr: two\nstdout: one three\n"},
		"notes don't mix in a line":    {[]piece{{"note", "one "}, {"out", "two\n"}, {"note", "three\n"}}, "stdout: two\none three\n"},
		"notes come as they are":       {[]piece{{"note", "$ mkfs\nstderr: <no output>\n"}, {"note", "end"}}, "$ mkfs\nstderr: <no output>\nend"},
		"carriage returns stay":        {[]piece{{"out", "1%\r2%\r\n\r\n"}}, "stdout: 1%\r2%\r\nstdout: \r\n"},
		"NUL stays":                    {[]piece{{"out", "a\x00b\n"}}, "stdout: a\x00b\n"},
		"rune over writes":             {[]piece{{"out", "\xe2"}, {"err", "\xf0\x9f"}, {"out", "\x82\xac\n"}, {"err", "\x99\x82\n"}}, "stdout: €\nstderr: 🙂\n"},
		"invalid bytes":                {[]piece{{"out", "\xff\xfe|\xe2\x82|\xed\xa0\x80\n"}}, "stdout: ��|��|���\n"},
		"unfinished rune at the end":   {[]piece{{"out", "a\xe2\x82"}}, "stdout: a��\n"},
		"rune broken by a newline":     {[]piece{{"out", "\xe2\n"}, {"out", "\x82\xac\n"}}, "stdout: �\nstdout: ��\n"},
		"replacement character itself": {[]piece{{"note", "�\n"}}, "�\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, nil, Options{})
				got, outs := output(t, b, test.pieces)
				require.Equal(t, test.want, got)
				requireGrowing(t, outs)
				b.flush(t)
			})
		})
	}
}

func TestLongLines(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		limit  int
		pieces []piece
		want   string
	}{
		"at the limit":          {8, []piece{{"out", "12345678\n"}, {"out", "12345678"}}, "stdout: 12345678\nstdout: 12345678\n"},
		"beyond the limit":      {8, []piece{{"out", "123456789\nx\n"}}, "stdout: 12345678\nstdout: 9\nstdout: x\n"},
		"twice the limit":       {8, []piece{{"out", "1234567812345678\n"}}, "stdout: 12345678\nstdout: 12345678\n"},
		"over writes":           {8, []piece{{"out", "12345"}, {"err", "e\n"}, {"out", "6789012345678"}, {"out", "9\n"}}, "stderr: e\nstdout: 12345678\nstdout: 90123456\nstdout: 789\n"},
		"not inside a rune":     {8, []piece{{"out", "123456€90\n"}}, "stdout: 123456\nstdout: €90\n"},
		"rune at the limit":     {9, []piece{{"out", "123456€90\n"}}, "stdout: 123456€\nstdout: 90\n"},
		"runes above the limit": {2, []piece{{"out", "€€\n"}}, "stdout: ��\nstdout: �\nstdout: ��\nstdout: �\n"},
		"invalid bytes":         {4, []piece{{"out", "\x80\x80\x80\x80\x80\n"}}, "stdout: ����\nstdout: �\n"},
		"note":                  {4, []piece{{"note", "123456\n"}}, "1234\n56\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, nil, Options{MaxLineBytes: test.limit})
				got, outs := output(t, b, test.pieces)
				require.Equal(t, test.want, got)
				requireGrowing(t, outs)
				b.flush(t)
			})
		})
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	const (
		reached = "[log] The output has reached its limit of 32 bytes. What follows is dropped.\n"
		dropped = "[log] %d bytes of output were dropped.\n"
	)
	tests := map[string]struct {
		pieces  []piece
		kept    string
		dropped int
	}{
		"exactly full":      {[]piece{{"out", "12345678901234567890123\n"}}, "stdout: 12345678901234567890123\n", 0},
		"one byte more":     {[]piece{{"out", "123456789012345678901234\n"}}, "stdout: 12345678901234567890123\n", 1},
		"second line":       {[]piece{{"out", "1234567890\n1234567890\n"}}, "stdout: 1234567890\nstdout: 1234\n", 6},
		"no room for more":  {[]piece{{"out", "12345678901234567\n1234567890\n"}}, "stdout: 12345678901234567\n", 19},
		"short lines later": {[]piece{{"out", "1234567890123456\n1234567890\n"}, {"err", "\n"}, {"out", "x\n"}}, "stdout: 1234567890123456\n", 19 + 9 + 10},
		"in whole runes":    {[]piece{{"out", "€€€€€€€€\n"}}, "stdout: €€€€€€€\n", 3},
		"invalid bytes":     {[]piece{{"out", "\xff\xff\xff\xff\xff\xff\xff\xff\n"}}, "stdout: �������\n", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, nil, Options{MaxEntryBytes: 32, MaxLineBytes: 32})
				want := test.kept
				if test.dropped > 0 {
					want += reached + fmt.Sprintf(dropped, test.dropped)
				}
				got, outs := output(t, b, test.pieces)
				require.Equal(t, want, got)
				requireGrowing(t, outs)
				if test.dropped > 0 {
					require.Contains(t, outs, test.kept+reached, "said at once")
				}
				got, _ = output(t, b, append(test.pieces, piece{"note", "The reason.\n"}, piece{"out", "x\n"}))
				if test.dropped > 0 {
					want = test.kept + reached + "The reason.\n" + fmt.Sprintf(dropped, test.dropped+len("stdout: x\n"))
					require.Equal(t, want, got, "notes are kept")
				}
				b.flush(t)
			})
		})
	}
}

func TestNotesAreBoundedToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil, Options{MaxEntryBytes: 1000})
		entry := b.Open("k", nil)
		for range NoteReserve / 10 {
			write(t, entry, "A long note.\n")
			write(t, entry.Stdout(), "A line.\n")
		}
		entry.Close(0)
		b.flush(t)
		out := b.frontend.entry(1).Out
		require.Less(t, len(out), 1000+NoteReserve+200)
		require.Greater(t, strings.Count(out, "A long note.\n"), NoteReserve/14)
		require.Less(t, strings.Count(out, "A line.\n"), 1000/14)
		require.Regexp(t, `\[log\] \d+ bytes of output were dropped\.\n$`, out)
	})
}

func TestDefaultLimits(t *testing.T) {
	t.Parallel()
	options := Options{}.withDefaults()
	require.Equal(t, 100<<20, options.MaxEntryBytes)
	require.Equal(t, 100<<20, options.MaxLineBytes)
	require.Equal(t, 50, options.MaxPending)
	require.Equal(t, time.Second, options.Interval)
	require.Equal(t, 5, Options{MaxEntryBytes: 5, MaxLineBytes: 9}.withDefaults().MaxLineBytes)
}

// Whatever is written in whatever pieces: each update begins with the one before, and at the end each way shows what one gets by masking
// its whole text, cutting that into lines and replacing invalid bytes as encoding/json does.
func TestAnyWritesInAnyPieces(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{"secret-one": "<1>", "line a\nline b": "<2>", "\xff\xfe": "<3>", "\xac": "<4>", "x": "xx"}
	masker := mask.New(secrets)
	tokens := rapid.SampledFrom([]string{
		"secret-one", "secret-", "one", "line a", "line b", "c2VjcmV0LW9uZQ==", "\n", "\n", "\r\n", "\xff", "\xfe", "€", "🙂",
		"\xe2", "\x82", "\xac", "x", " ", "plain text", "\x00",
	})
	pieces := rapid.Custom(func(t *rapid.T) piece {
		text := strings.Join(rapid.SliceOfN(tokens, 0, 6).Draw(t, "tokens"), "")
		return piece{rapid.SampledFrom([]string{"out", "err", "note"}).Draw(t, "way"), text}
	})
	limits := rapid.SampledFrom([]int{1 << 20, 1 << 20, 100})
	rapid.Check(t, func(rt *rapid.T) {
		written := rapid.SliceOfN(pieces, 0, 30).Draw(rt, "pieces")
		limit := limits.Draw(rt, "limit")
		mixed := halves(rt, written)
		var got string
		var outs []string
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, secrets, Options{MaxEntryBytes: limit})
			got, outs = output(t, b, mixed)
			b.flush(t)
		})
		requireGrowing(rt, outs)
		require.True(rt, utf8.ValidString(got))
		if limit < 1<<20 {
			require.Less(rt, len(got), limit+NoteReserve+200)
			return
		}
		texts, shown := map[string]string{}, map[string]string{}
		for _, p := range written {
			texts[p.way] += p.text
		}
		for line := range strings.Lines(got) {
			switch {
			case strings.HasPrefix(line, "stdout: "):
				shown["out"] += line
			case strings.HasPrefix(line, "stderr: "):
				shown["err"] += line
			default:
				shown["note"] += line
			}
		}
		require.Equal(rt, prefixed(masker.String(texts["out"]), "stdout: "), shown["out"])
		require.Equal(rt, prefixed(masker.String(texts["err"]), "stderr: "), shown["err"])
		require.Equal(rt, asJSON(masker.String(texts["note"])), shown["note"])
	})
}

// halves cuts each piece in two anywhere and mixes the ways.
func halves(t *rapid.T, pieces []piece) []piece {
	var out []piece
	for _, p := range pieces {
		at := rapid.IntRange(0, len(p.text)).Draw(t, "at")
		out = append(out, piece{p.way, p.text[:at]}, piece{p.way, p.text[at:]})
	}
	// A swap of neighbours of different ways keeps the order within each way.
	for i := 1; i < len(out); i++ {
		if out[i].way != out[i-1].way && rapid.Bool().Draw(t, "swap") {
			out[i], out[i-1] = out[i-1], out[i]
		}
	}
	return out
}

func prefixed(text, prefix string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(prefix + strings.TrimSuffix(line, "\n") + "\n")
	}
	return asJSON(out.String())
}

// asJSON is text after a way through JSON.
func asJSON(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	var decoded string
	if err := json.Unmarshal(encoded, &decoded); err != nil {
		panic(err)
	}
	return decoded
}
