package mask

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

func benchmarkSecrets(count int) map[string]string {
	secrets := map[string]string{}
	for i := range count {
		secrets[fmt.Sprintf("s3cr3t/%d'%x", i, i*7919)] = "***"
	}
	return secrets
}

func BenchmarkStream(b *testing.B) {
	lines := strings.Repeat("2026-01-01T00:00:00Z building package github.com/open-executor/executor/internal/mask\n", 400)
	texts := []struct{ name, text string }{
		{"plain", lines},
		{"secrets", strings.Repeat("token s3cr3t/1'1eef used by "+strings.Repeat("x", 100), 256)},
		{"almost", strings.Repeat("s3cr3t/", 5000)},
	}
	for _, count := range []int{1, 10, 1000} {
		masker := New(benchmarkSecrets(count))
		for _, text := range texts {
			b.Run(fmt.Sprintf("%s/%d", text.name, count), func(b *testing.B) {
				data := []byte(text.text)
				stream := masker.Stream(io.Discard)
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					_, _ = stream.Write(data)
				}
			})
		}
	}
}

// The text that punishes maskers that go back: long almost-matches of which each begins inside the one before.
func BenchmarkHostile(b *testing.B) {
	masker := New(map[string]string{"a": "X", strings.Repeat("a", 10000) + "b": "Y"})
	data := bytes.Repeat([]byte("a"), 1<<20)
	stream := masker.Stream(io.Discard)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		_, _ = stream.Write(data)
	}
}

func BenchmarkNew(b *testing.B) {
	for _, count := range []int{1, 10, 1000} {
		secrets := benchmarkSecrets(count)
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				New(secrets)
			}
		})
	}
	key := map[string]string{strings.Repeat("MIIEpAIBAAKCAQEA7xyz+/abcdefghijklmnopqrstuvwxyz0123456789ABCD\n", 26): "KEY"}
	b.Run("private key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			New(key)
		}
	})
}
