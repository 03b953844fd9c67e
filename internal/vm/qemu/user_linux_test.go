package qemu

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/vm/network"
)

func TestMonitorsHaveUsersOfTheirOwn(t *testing.T) {
	t.Parallel()
	require.Nil(t, credential(1000, nil, tcg), "only root can change users")
	link := func(guest string) *network.Link { return &network.Link{Guest: netip.MustParsePrefix(guest)} }
	seen := map[uint32]bool{}
	for _, of := range []*network.Link{nil, link("10.61.0.2/30"), link("10.61.0.6/30"), link("10.61.255.254/30")} {
		c := credential(0, of, tcg)
		require.Equal(t, c.Uid, c.Gid)
		require.GreaterOrEqual(t, c.Uid, uint32(firstUID))
		require.Less(t, c.Uid, uint32(firstUID+1<<16))
		require.Empty(t, c.Groups)
		require.False(t, seen[c.Uid])
		seen[c.Uid] = true
	}
}
