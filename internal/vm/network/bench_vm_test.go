//go:build vm

package network

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a machine's network costs when nothing else runs; a machine starts in less than a second, and this is part of it.
func TestLinkIsMadeSoon(t *testing.T) {
	if !isolated(t) {
		return
	}
	n := newNetwork(t, Options{IngressBytes: 1 << 20, EgressBytes: 1 << 20})
	const rounds = 20
	var making, ending time.Duration
	for range rounds {
		start := time.Now()
		link := attach(t, n)
		made := time.Now()
		require.NoError(t, link.Close())
		making, ending = making+made.Sub(start), ending+time.Since(made)
	}
	t.Logf("Attach %s, Close %s", making/rounds, ending/rounds)
	require.Less(t, making/rounds, 500*time.Millisecond)
}
