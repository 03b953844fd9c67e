package owner

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/flock"
)

// helperDir makes this test binary play an executor with that state directory, which is then killed.
const helperDir = "OWNER_TEST_HELPER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		playExecutor(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// playExecutor claims, makes a workspace, starts a marked child, says so, and hangs.
func playExecutor(dir string) {
	claim, err := Take(dir, Record{Executor: "host-victim", Parents: []string{filepath.Dir(dir)}})
	must(err)
	workspace := filepath.Join(filepath.Dir(dir), "workspace-1")
	claim.Track(workspace)
	must(os.Mkdir(workspace, 0o700))
	must(os.WriteFile(filepath.Join(workspace, "file"), nil, 0o600))
	gone := filepath.Join(filepath.Dir(dir), "workspace-0")
	claim.Track(gone)()
	child := exec.Command("sleep", "1000")
	child.Env = []string{"PATH=" + os.Getenv("PATH"), Mark("host-victim")}
	must(child.Start())
	fmt.Println("ready")
	select {}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// stateDir returns a directory for records and the parent of directories to track.
func stateDir(t *testing.T) (dir, parent string) {
	t.Helper()
	parent = t.TempDir()
	return filepath.Join(parent, "owners"), parent
}

func take(t *testing.T, dir, executor string, parents ...string) *Claim {
	t.Helper()
	claim, err := Take(dir, Record{Executor: executor, Parents: parents})
	require.NoError(t, err)
	t.Cleanup(func() { _ = claim.Close() })
	return claim
}

// crash drops the claim's lock as the end of its process would, without any tidying.
func crash(t *testing.T, claim *Claim) {
	t.Helper()
	claim.mu.Lock()
	defer claim.mu.Unlock()
	require.NoError(t, flock.Release(claim.file))
	claim.file = nil
}
