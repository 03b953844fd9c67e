package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func create(t *testing.T) *Spool {
	t.Helper()
	s, err := Create(filepath.Join(t.TempDir(), "spool"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.file.Close()) })
	return s
}

func TestReadersGoOnWhereTheyWere(t *testing.T) {
	t.Parallel()
	s := create(t)
	var wanted, wantedErrs strings.Builder
	for i := range 100 {
		text := strings.Repeat(fmt.Sprint(i), i*50)
		fmt.Fprint(s.Stream(Stdout), text)
		wanted.WriteString(text)
		fmt.Fprint(s.Stream(Stderr), "e", i)
		fmt.Fprint(&wantedErrs, "e", i)
	}
	s.End()
	var out, errs strings.Builder
	decoder := NewDecoder(&out, &errs)
	for broken := 1; ; broken++ {
		// Each connection breaks after some bytes, wherever that is in a record.
		torn := &tornWriter{to: decoder, left: broken * 1000}
		err := s.CopyTo(t.Context(), torn, decoder.Offset())
		if err == nil {
			break
		}
		require.ErrorIs(t, err, errTorn)
	}
	require.Equal(t, wanted.String(), out.String())
	require.Equal(t, wantedErrs.String(), errs.String())
}

var errTorn = errors.New("torn")

// tornWriter takes so many bytes.
type tornWriter struct {
	to   io.Writer
	left int
}

func (w *tornWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	if n, err := w.to.Write(p[:n]); err != nil {
		return n, err
	}
	if n < len(p) {
		return n, errTorn
	}
	return n, nil
}

func TestReadersWaitForTheEnd(t *testing.T) {
	t.Parallel()
	s := create(t)
	read, write := io.Pipe()
	copied := make(chan error, 1)
	go func() { copied <- s.CopyTo(t.Context(), write, 0) }()
	for _, text := range []string{"first", "second"} {
		fmt.Fprint(s.Stream(Stdout), text)
		record := make([]byte, headerSize+len(text))
		_, err := io.ReadFull(read, record)
		require.NoError(t, err)
		require.Equal(t, text, string(record[headerSize:]))
	}
	s.End()
	require.NoError(t, <-copied)
	_, err := s.Stream(Stdout).Write([]byte("late"))
	require.EqualError(t, err, "the step has ended")

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTorn)
	require.ErrorIs(t, create(t).CopyTo(ctx, io.Discard, 0), errTorn)
	require.EqualError(t, s.CopyTo(t.Context(), io.Discard, 1000), "there is no byte 1000 in 21 bytes of output")
	require.Error(t, s.CopyTo(t.Context(), io.Discard, -1))
}

// A spool takes so much and no more, and says how much more there was.
func TestSpoolsAreBounded(t *testing.T) {
	t.Parallel()
	s := create(t)
	s.limit = 100
	for _, text := range []string{strings.Repeat("a", 80), strings.Repeat("b", 80), "c"} {
		n, err := s.Stream(Stdout).Write([]byte(text))
		require.NoError(t, err, "a step doesn't feel it")
		require.Equal(t, len(text), n)
	}
	s.End()
	var out strings.Builder
	decoder := NewDecoder(&out, io.Discard)
	require.NoError(t, s.CopyTo(t.Context(), decoder, 0))
	require.Equal(t, strings.Repeat("a", 80), out.String(), "what follows a gap is left out, too")
	require.EqualValues(t, 81, decoder.Dropped())
	require.EqualValues(t, s.Size(), decoder.Offset())
}

func TestDecoderRefusesWhatIsNoSpool(t *testing.T) {
	t.Parallel()
	for _, bytes := range []string{"x\x00\x00\x00\x01a", "o\x00\x01\x00\x01a", "e\xff\xff\xff\xff", "d\x00\x00\x00\x01a"} {
		_, err := NewDecoder(io.Discard, io.Discard).Write([]byte(bytes))
		require.Error(t, err, "%q", bytes)
	}
}

// Whatever pieces come, the output is the same.
func TestDecoderTakesAnyPieces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var spooled, wanted bytes.Buffer
		for _, text := range rapid.SliceOfN(rapid.SliceOf(rapid.Byte()), 0, 8).Draw(t, "records") {
			wanted.Write(text)
			spooled.Write([]byte{Stdout, 0, 0, byte(len(text) >> 8), byte(len(text))})
			spooled.Write(text)
		}
		var out bytes.Buffer
		decoder := NewDecoder(&out, io.Discard)
		total := int64(spooled.Len())
		for spooled.Len() > 0 {
			_, err := decoder.Write(spooled.Next(rapid.IntRange(1, 50).Draw(t, "piece")))
			if err != nil {
				t.Fatal(err)
			}
		}
		if out.String() != wanted.String() || decoder.Offset() != total {
			t.Fatalf("%q instead of %q, %d of %d bytes", out.String(), wanted.String(), decoder.Offset(), total)
		}
	})
}
