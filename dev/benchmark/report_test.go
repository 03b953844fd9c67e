package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	series := []time.Duration{5, 1, 4, 2, 3}
	for q, want := range map[float64]time.Duration{0: 1, 0.2: 1, 0.5: 3, 0.99: 5, 1: 5} {
		require.Equal(t, want, quantile(series, q), "quantile %v", q)
	}
	require.Equal(t, time.Duration(7), quantile([]time.Duration{7}, 0.5))
}
