// Package machineimages tests the scripts that make and publish machine images: _ami.build.sh and _ami.push.sh of vm-image and docker-mirror, and
// dev/lib/machine_images. It needs git and jq.
package machineimages

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/dev/release/machineimages/cloudtest"
)

// This test program is the stand-ins too, by links to it.
func TestMain(m *testing.M) {
	if slices.Contains(cloudtest.Programs, filepath.Base(os.Args[0])) {
		os.Exit(cloudtest.Main(os.Args, os.Stdout, os.Stderr))
	}
	var err error
	if shared, err = os.MkdirTemp("", "machineimages"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(shared); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
		os.Exit(code)
	}))
}

// shared is a directory for all tests, which goes with the last.
var shared string

// ours is a file of the repository, by its path from the root.
func ours(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../..", name))
	require.NoError(t, err)
	return path
}
