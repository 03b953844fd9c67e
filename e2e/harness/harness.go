// Package harness starts the real programs for the scenarios of package e2e: built once, each as a process of its own, with its
// own directories, and stopped by its process id at the end of the test.
package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Patience bounds every wait for something external. It is generous: the machines are slow and shared.
const Patience = time.Minute

// build makes all programs once per test binary; go's own cache makes it cheap.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "e2e-bin-*")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir, "../cmd/...").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

// Main runs a package's tests and removes the built programs; call it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if dir, err := build(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// Program returns the path of a built program: "executor", "frontend", "standalone" or "execctl".
func Program(t testing.TB, name string) string {
	t.Helper()
	dir, err := build()
	require.NoError(t, err)
	return filepath.Join(dir, name)
}

// Image returns the name of the image that container scenarios run in. It has a shell and the usual small tools.
func Image(t testing.TB) string {
	t.Helper()
	image := os.Getenv("EXECUTOR_TEST_IMAGE")
	require.NotEmpty(t, image, "EXECUTOR_TEST_IMAGE is not set: run ./dev/test, which makes the image")
	return image
}

// Context ends a little before Patience ends the test.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// Eventually fails the test when the condition does not hold within limit.
func Eventually(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, limit, 50*time.Millisecond, what)
}
