package install

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// firecrackerArchive packs a release's programs.
func firecrackerArchive(t *testing.T, programs ...string) []byte {
	t.Helper()
	var files [][2]string
	for _, program := range programs {
		files = append(files, [2]string{"release-v1.12.1-x86_64/" + program + "-v1.12.1-x86_64", program})
	}
	return packed(t, files...)
}

func firecrackerOf(t *testing.T, archive, sums []byte) Firecracker {
	t.Helper()
	const name = "/v1.12.1/firecracker-v1.12.1-x86_64.tgz"
	served := release(t, map[string][]byte{name: archive, name + ".sha256.txt": sums})
	return Firecracker{Releases: served.Releases, Version: FirecrackerVersion, HTTP: served.HTTP}
}

func TestFirecrackerComesWithItsJailer(t *testing.T) {
	t.Parallel()
	archive := firecrackerArchive(t, "jailer", "firecracker")
	dir := t.TempDir()
	sums := fmt.Appendf(nil, "%x  firecracker-v1.12.1-x86_64.tgz\n", sha256.Sum256(archive))
	require.NoError(t, firecrackerOf(t, archive, sums).Install(t.Context(), dir))
	for _, program := range []string{"firecracker", "jailer"} {
		got, err := os.ReadFile(filepath.Join(dir, program))
		require.NoError(t, err)
		require.Equal(t, program, string(got))
	}
	requireOnly(t, dir, "firecracker", "jailer")
}

func TestFirecrackerIsNotInstalledInPart(t *testing.T) {
	t.Parallel()
	whole, part := firecrackerArchive(t, "jailer", "firecracker"), firecrackerArchive(t, "firecracker")
	for want, served := range map[string][]byte{"but its release lists": whole, "jailer-v1.12.1": part} {
		dir := t.TempDir()
		sums := fmt.Appendf(nil, "%x  firecracker-v1.12.1-x86_64.tgz\n", sha256.Sum256(part))
		require.ErrorContains(t, firecrackerOf(t, served, sums).Install(t.Context(), dir), want)
		requireOnly(t, dir)
	}
}
