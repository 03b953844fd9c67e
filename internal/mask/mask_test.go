package mask

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestString(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		secrets    map[string]string
		text, want string
	}{
		"no secrets":                      {nil, "text", "text"},
		"no text":                         {map[string]string{"a": "X"}, "", ""},
		"empty secret":                    {map[string]string{"": "X", "b": "Y"}, "abc", "aYc"},
		"one byte":                        {map[string]string{"b": "[B]"}, "abba", "a[B][B]a"},
		"the whole text":                  {map[string]string{"secret": "X"}, "secret", "X"},
		"empty replacement":               {map[string]string{"bc": ""}, "abcd", "ad"},
		"begins like a secret":            {map[string]string{"abc": "X"}, "ababcab", "abXab"},
		"side by side":                    {map[string]string{"ab": "X", "cd": "Y"}, "abcdab", "XYX"},
		"longest of one start":            {map[string]string{"foo": "X", "foobar": "Y"}, "foo foobar", "X Y"},
		"shorter when the longer fails":   {map[string]string{"foo": "X", "foobar": "Y"}, "fooba", "Xba"},
		"one inside another":              {map[string]string{"abcdef": "X", "cd": "Y"}, "abcdef cd abcd", "X Y abY"},
		"overlap leaves no rest":          {map[string]string{"abc": "X", "bcde": "Y"}, "zabcdez", "zXz"},
		"overlap found late":              {map[string]string{"ab": "X", "c": "Y", "bcd": "Z"}, "abcd abc", "X XY"},
		"earlier start found last":        {map[string]string{"b": "X", "d": "Y", "abcde": "Z"}, "abcde abcd", "Z aXcY"},
		"overlap with itself":             {map[string]string{"aa": "X"}, "a aa aaaaa", "a X X"},
		"replacement is not searched":     {map[string]string{"a": "b", "b": "a"}, "ab", "ba"},
		"replacement completes no secret": {map[string]string{"x": "<a", "ab": "Y"}, "xb", "<ab"},
		"binary":                          {map[string]string{"\x00\xff\xfe": "X"}, "\xff\x00\xff\xfe\xfe", "\xffX\xfe"},
		"part of a rune":                  {map[string]string{"\x82": "X"}, "€", "\xe2X\xac"},
		"several lines":                   {map[string]string{"one\ntwo": "X"}, "> one\ntwo\n", "> X\n"},
		"header and token of an upload step": {
			map[string]string{"token-executor hunter2hunter2": "token-executor REDACTED", "hunter2hunter2": "PASSWORD_REMOVED"},
			"-H token-executor hunter2hunter2 -p hunter2hunter2", "-H token-executor REDACTED -p PASSWORD_REMOVED",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, New(test.secrets).String(test.text))
		})
	}
}

func TestSameNeedleOfTwoSecrets(t *testing.T) {
	t.Parallel()
	// The second is a line of the first, and of the third, whose lines come before it in order.
	masker := New(map[string]string{"a\nlong-enough-line": "X", "long-enough-line": "Y", "\nlong-enough-line\n": "Z"})
	require.Equal(t, "Y", masker.String("long-enough-line"))

	for range 20 {
		masker = New(map[string]string{"1\nlong-enough-line": "X", "2\nlong-enough-line": "Y"})
		require.Equal(t, "X", masker.String("long-enough-line"), "the first in order wins every time")
	}
}

func TestThousandsOfSecrets(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{}
	var text, want strings.Builder
	for i := range 5000 {
		secret := fmt.Sprintf("secret-%d-%x", i, i*7919)
		secrets[secret] = fmt.Sprintf("<%d>", i)
		fmt.Fprintf(&text, "line %d has %s in it\n", i, secret)
		fmt.Fprintf(&want, "line %d has <%d> in it\n", i, i)
	}
	require.Equal(t, want.String(), New(secrets).String(text.String()))
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	masker := New(map[string]string{"secret": "X"})
	var group sync.WaitGroup
	results := make([]string, 8)
	for i := range results {
		group.Go(func() { results[i] = masker.String(strings.Repeat("a secret ", 10000)) })
	}
	group.Wait()
	for _, result := range results {
		require.Equal(t, strings.Repeat("a X ", 10000), result)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	short := "the secret is shorter than 8 bytes: only its exact value is masked, and that wherever it occurs, but not encoded forms of it"
	tests := map[string]struct {
		secret string
		want   []string
	}{
		"good":                    {"long enough", nil},
		"good with final newline": {"long enough\n", nil},
		"short":                   {"1234567", []string{short}},
		"one letter":              {"x", []string{short}},
		"short lines":             {"{\n  \"key\": \"value\"\n}\n", []string{"2 of the secret's 3 lines are shorter than 8 bytes: these are masked only where the whole secret is printed"}},
		"long lines":              {"-----BEGIN KEY-----\r\nMIIEpAIBAAK\r\n\r\n-----END KEY-----\r\n", nil},
		"too long":                {strings.Repeat("x", MaxDerived+1), []string{"the secret is longer than 16384 bytes: its exact value and its lines are masked, but not encoded forms of it"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want []Warning
			for _, text := range test.want {
				want = append(want, Warning{"${{ secrets.S }}", text})
			}
			got := New(map[string]string{test.secret: "${{ secrets.S }}", "another-secret": "Y"}).Warnings()
			require.ElementsMatch(t, want, got)
		})
	}
	require.Equal(t, []Warning{{"A", short}, {"B", short}}, New(map[string]string{"1": "B", "2": "A", "3": "A"}).Warnings(),
		"in order of the replacements, each once")
}
