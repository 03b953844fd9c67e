package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/docker-images/debian/internal/definition"
	"github.com/open-executor/executor/docker-images/debian/internal/lockfile"
)

// Whoever changes packages.yaml locks anew.
func TestTheLocksFitPackagesYAML(t *testing.T) {
	t.Parallel()
	d, err := definition.Read("packages.yaml")
	require.NoError(t, err)
	for _, architecture := range d.Architectures {
		lock, err := lockfile.Read(lockfile.File(".", architecture))
		require.NoError(t, err)
		require.Equal(t, d.Suite, lock.Suite)
		require.Equal(t, architecture, lock.Architecture)
		for name, set := range d.Sets {
			var locked []string
			for _, p := range lock.Of(name) {
				locked = append(locked, p.Name)
				require.NotContains(t, set.Without, p.Name, "set %s of %s", name, architecture)
			}
			require.Subset(t, locked, set.Packages, "set %s of %s", name, architecture)
		}
		for _, p := range lock.Packages {
			require.Contains(t, d.Sets, p.Set, "%s of %s", p, architecture)
		}
	}
}
