package mask

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// stream masks the pieces one Write after the other.
func stream(t require.TestingT, masker *Masker, pieces ...string) string {
	var out bytes.Buffer
	s := masker.Stream(&out)
	for _, piece := range pieces {
		n, err := s.Write([]byte(piece))
		require.NoError(t, err)
		require.Equal(t, len(piece), n)
	}
	require.NoError(t, s.Flush())
	return out.String()
}

func TestEveryCut(t *testing.T) {
	t.Parallel()
	masker := New(map[string]string{"hunter2hunter2": "<password>", "line one\nline two": "<lines>", "aba": "<aba>", "x": "", "€uro": "<€>"})
	text := "hunter2hunter2hunter2 hunter2hunter3 aGFsZnRlcjI= aHVudGVyMmh1bnRlcjI= line one\nline two\nline one\r\nline two line one abababa x€€uro"
	want := masker.String(text)
	require.Equal(t, "<password> hunter2hunter3 aGFsZnRlcjI= <password> <lines>\n<lines> <lines> <aba> €<€>", want)
	for i := range len(text) + 1 {
		require.Equal(t, want, stream(t, masker, text[:i], text[i:]), "cut at %d", i)
		for j := i; j <= len(text); j += 7 {
			require.Equal(t, want, stream(t, masker, text[:i], text[i:j], "", text[j:]), "cut at %d and %d", i, j)
		}
	}
	require.Equal(t, want, stream(t, masker, strings.Split(text, "")...))
}

func TestHoldsBackOnlyWhatMayStillMatch(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := New(map[string]string{"secret": "X", "credo": "Y", "aa": "Z"}).Stream(&out)
	for _, step := range []struct{ write, shown string }{
		{"text\n", "text\n"},
		{"a se", "a "},
		{"c", ""},
		{"ond", "second"},
		{" secre", " "},
		{"do", "seY"},
		{"sec", ""},
		{"ret", "X"},
		{"cr", ""},
		{"cre", "cr"},
		{"!", "cre!"},
		{"a", ""},
		{"a", "Z"},
		{"a", ""},
		{"aaaaaa", ""},
		{".", "."},
	} {
		out.Reset()
		_, err := s.Write([]byte(step.write))
		require.NoError(t, err)
		require.Equal(t, step.shown, out.String(), "after %q", step.write)
	}
	out.Reset()
	_, err := s.Write([]byte("secre"))
	require.NoError(t, err)
	require.Empty(t, out.String())
	require.NoError(t, s.Flush())
	require.Equal(t, "secre", out.String())
	_, err = s.Write([]byte("t"))
	require.NoError(t, err)
	require.Equal(t, "secret", out.String(), "a new text begins after Flush")
	require.NoError(t, s.Flush())
	require.Equal(t, "secret", out.String())
}

func TestLongTextKeepsLittle(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := New(map[string]string{"aa": "X", "ab": "Y"}).Stream(&out)
	piece := bytes.Repeat([]byte("a"), 1<<20)
	for range 8 {
		_, err := s.Write(piece)
		require.NoError(t, err)
	}
	require.Equal(t, "X", out.String(), "one region, shown once")
	require.LessOrEqual(t, cap(s.held), 4*chunk)
	require.LessOrEqual(t, cap(s.regions), 8)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestWriterFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	s := New(map[string]string{"secret": "X"}).Stream(failing{broken})
	_, err := s.Write([]byte("secre"))
	require.NoError(t, err, "nothing to write yet")
	require.ErrorIs(t, s.Flush(), broken)
	_, err = s.Write([]byte("text"))
	require.ErrorIs(t, err, broken)
}

func TestStreamIsTheModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// Few letters make many overlaps. Replacements are of other letters, so that any needle in the output is unmasked text.
		short := rapid.StringMatching(`[abc]{1,6}`)
		long := rapid.StringMatching(`[abc]{8,12}(\r?\n[abc]{7,9}){0,2}`)
		secrets := rapid.MapOfN(rapid.OneOf(short, long), rapid.StringMatching(`[XYZ]{1,2}`), 1, 6).Draw(t, "secrets")
		needles := allNeedles(secrets)
		words := rapid.OneOf(rapid.StringMatching(`[abc.\r\n]{0,9}`), rapid.SampledFrom(keys(needles)))
		pieces := rapid.SliceOfN(words, 0, 20).Draw(t, "pieces")
		text := strings.Join(pieces, "")
		masker := New(secrets)

		got := stream(t, masker, pieces...)

		spans := model(needles, text)
		require.Equal(t, apply(spans, text), got)
		require.Equal(t, got, masker.String(text), "in one piece")
		if len(spans) == 0 {
			require.Equal(t, text, got)
		}
		for _, rest := range strings.FieldsFunc(got, func(r rune) bool { return strings.ContainsRune("XYZ", r) }) {
			for needle := range needles {
				require.NotContains(t, rest, needle)
			}
		}
	})
}

func FuzzStream(f *testing.F) {
	f.Add("hunter2hunter2", "secret", "ahunter2hunter2secretsecret")
	f.Add("aa", "aba", "aabaaabababaa")
	f.Add("line one\nline two", "\r\n", "line one\r\nline two\r\n")
	f.Add("\x00\xff", "\xff\x00", "\x00\xff\x00\xff\xff\x00")
	f.Add("€", "\x82", "\xe2\x82€\xac")
	f.Add("p4ssw0rd", "", "OnA0c3N3MHJk p4ssw0rd cDRzc3cwcmQ=")
	f.Fuzz(func(t *testing.T, first, second, text string) {
		// The model is slow.
		first, second, text = first[:min(100, len(first))], second[:min(100, len(second))], text[:min(400, len(text))]
		secrets := map[string]string{first: "<1>", second: "<2>"}
		masker := New(secrets)
		want := apply(model(allNeedles(secrets), text), text)
		require.Equal(t, want, masker.String(text))
		for i := range len(text) + 1 {
			require.Equal(t, want, stream(t, masker, text[:i], text[i:]), "cut at %d", i)
		}
	})
}

func keys(m map[string]string) []string {
	var out []string
	for key := range m {
		if key != "" {
			out = append(out, key)
		}
	}
	return out
}
