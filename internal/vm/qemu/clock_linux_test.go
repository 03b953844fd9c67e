package qemu

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCounterRunsEvenly(t *testing.T) {
	t.Parallel()
	first := countTicks()
	if first == 0 {
		require.Zero(t, ticks(), "only where there is no counter")
		return
	}
	require.Greater(t, first, uint64(100_000), "100 MHz")
	require.InEpsilon(t, first, countTicks(), 0.01)
}
