package apiclient

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func readFrames(text string) (all []frame, retry time.Duration, err error) {
	f := newFrames(strings.NewReader(text), func() {})
	for {
		next, err := f.next()
		if err != nil {
			return all, f.retry, err
		}
		all = append(all, next)
	}
}

func TestFrames(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want []frame
	}{
		"one":           {"event: a\nid: 1:2\ndata: x\n\n", []frame{{"a", "1:2", "x"}}},
		"two":           {"data: x\n\ndata: y\n\n", []frame{{data: "x"}, {data: "y"}}},
		"comment":       {": hello\n\nevent: a\n: hello\ndata: x\n\n", []frame{{event: "a", data: "x"}}},
		"data in lines": {"data: x\ndata:y\ndata\n\n", []frame{{data: "x\ny\n"}}},
		"CRLF":          {"event: a\r\ndata: x\r\n\r\n", []frame{{event: "a", data: "x"}}},
		"colon in data": {"data: {\"a\": 1}\n\n", []frame{{data: `{"a": 1}`}}},
		"without data":  {"event: a\nid: 1\n\ndata: x\n\n", []frame{{data: "x"}}},
		"half an event": {"data: x\n\ndata: y\n", []frame{{data: "x"}}},
		"unknown field": {"color: red\ndata: x\n\n", []frame{{data: "x"}}},
		"empty":         {"", nil},
	} {
		got, _, err := readFrames(test.text)
		require.Equal(t, io.EOF, err, name)
		require.Equal(t, test.want, got, name)
	}
	_, retry, _ := readFrames("retry: 1500\n\nretry: soon\n\n")
	require.Equal(t, 1500*time.Millisecond, retry)
	_, _, err := readFrames("data: " + strings.Repeat("x", maxLine) + "\n\n")
	require.ErrorContains(t, err, "too long")
}

func FuzzFrames(f *testing.F) {
	f.Add("event: a\nid: 1:2\ndata: x\n\n: c\n\nretry: 5\n\ndata: y\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, _, err := readFrames(text)
		require.Error(t, err)
		for _, frame := range all {
			require.NotContains(t, frame.event+frame.id, "\n")
		}
		// What was read reads the same again.
		var again strings.Builder
		for _, frame := range all {
			again.WriteString("event: " + frame.event + "\nid: " + frame.id + "\n")
			for line := range strings.SplitSeq(frame.data, "\n") {
				again.WriteString("data: " + line + "\n")
			}
			again.WriteString("\n")
		}
		repeated, _, _ := readFrames(again.String())
		require.Equal(t, all, repeated)
	})
}
