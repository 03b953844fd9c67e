package apt

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/docker-images/debian/internal/lockfile"
)

func TestUnlisted(t *testing.T) {
	t.Parallel()
	a := &archive{t: t}
	is, was := locked("git"), locked("bash")
	is.SHA256 = strings.Repeat("0a", 32)
	unlisted, err := Unlisted(t.Context(), a.run, testMirror, &lockfile.Lock{Suite: "bookworm", Architecture: "amd64", Packages: []lockfile.Package{is, was}})
	require.NoError(t, err)
	require.Equal(t, []lockfile.Package{was}, unlisted)
}
