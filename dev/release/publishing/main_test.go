// Package publishing tests the scripts that publish: cmd/executor/_binary.push.sh and ci-should-rebuild.sh, dev/lib/artifacts.sh, dev/stamp_vars.sh and
// dev/tools/gsutil.sh. It is apart from what they publish, so that a change there doesn't run all of this again.
package publishing

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/dev/release/command"
)

// asReleaseProgram makes this test program the release program, so that no other one has to be built.
const asReleaseProgram = "TEST_AS_RELEASE_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asReleaseProgram) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	if err := command.Run(os.Args[1:], os.Getenv, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// ours is a file of the repository, by its path from the root.
func ours(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../..", name))
	require.NoError(t, err)
	return path
}
