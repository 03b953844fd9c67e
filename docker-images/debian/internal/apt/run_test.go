package apt

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	t.Parallel()
	out, err := Run(t.Context(), []string{"WORD=x"}, "sh", "-c", `echo "$WORD $LC_ALL"`)
	require.NoError(t, err)
	require.Equal(t, "x C\n", out)

	_, err = Run(t.Context(), nil, "sh", "-c", "echo 'W: noise' >&2; echo 'E: Unable to locate package x' >&2; exit 100")
	failed, ok := errors.AsType[*ExitError](err)
	require.True(t, ok)
	require.Equal(t, &ExitError{Program: "sh", Code: 100, Stderr: "Unable to locate package x"}, failed)
	_, err = Run(t.Context(), nil, "sh", "-c", "echo 'plain words' >&2; exit 1")
	require.EqualError(t, err, "sh failed with exit code 1: plain words")

	_, err = Run(t.Context(), nil, "no-such-program-here")
	require.ErrorContains(t, err, "this needs a machine with Debian's apt")
	_, err = Run(t.Context(), nil, "/no/such/apt-helper")
	require.ErrorContains(t, err, "this needs a machine with Debian's apt")
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("out of time"))
	defer cancel()
	_, err := Run(ctx, nil, "sleep", "60")
	require.EqualError(t, err, "sleep: out of time")
}

func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	b := &bounded{}
	block := make([]byte, maxOutput/2)
	for range 3 {
		n, err := b.Write(block)
		require.NoError(t, err)
		require.Equal(t, len(block), n)
	}
	require.True(t, b.over)
	require.Equal(t, maxOutput, b.Len())
}
