package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Another reader gets back what was put in, and however the input arrives, the output is the same.
func TestAnyInputComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		input := bytes.Repeat(rapid.SliceOf(rapid.Byte()).Draw(t, "input"), rapid.IntRange(0, 2000).Draw(t, "times"))
		var whole, halves bytes.Buffer
		require.NoError(t, compress(&whole, bytes.NewReader(input)))
		require.NoError(t, compress(&halves, iotest.HalfReader(bytes.NewReader(input))))
		require.Equal(t, whole.Bytes(), halves.Bytes())
		r, err := gzip.NewReader(&whole)
		require.NoError(t, err)
		require.Empty(t, r.Name)
		require.True(t, r.ModTime.IsZero())
		output, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(input, output))
	})
}

func TestErrorsAreReported(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	require.ErrorIs(t, compress(io.Discard, iotest.ErrReader(broken)), broken)
	require.ErrorIs(t, compress(brokenWriter{broken}, bytes.NewReader([]byte("x"))), broken)
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }
