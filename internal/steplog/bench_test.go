package steplog

import (
	"bytes"
	"testing"

	"github.com/open-executor/executor/internal/mask"
)

// What a command's output costs on its way to the buffer.
func BenchmarkStdout(b *testing.B) {
	masker := mask.New(map[string]string{"token-of-some-length": "***", "another secret": "***"})
	logger := New(&frontend{}, masker, Options{MaxEntryBytes: 1 << 20})
	defer func() { _ = logger.Flush(b.Context()) }()
	for _, test := range []struct{ name, text string }{
		{"lines", "2026-01-01T00:00:00Z building package github.com/open-executor/executor/internal/steplog\n"},
		{"one line", "no newline "},
		{"binary", "\xff\xfe\x00\x01\n"},
	} {
		b.Run(test.name, func(b *testing.B) {
			chunk := bytes.Repeat([]byte(test.text), (32<<10)/len(test.text))
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			var written int
			entry := logger.Open("bench", nil)
			for b.Loop() {
				// A new entry before the bound, so that bytes are kept, not counted.
				if written += 2 * len(chunk); written > 1<<20 {
					entry.Close(0)
					entry, written = logger.Open("bench", nil), 0
				}
				_, _ = entry.Stdout().Write(chunk)
			}
			entry.Close(0)
		})
	}
}
