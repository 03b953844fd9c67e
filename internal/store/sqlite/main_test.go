package sqlite

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the entry of the crash test's children.
func TestMain(m *testing.M) {
	if path := os.Getenv(crashChildEnv); path != "" {
		os.Exit(crashChild(path))
	}
	goleak.VerifyTestMain(m)
}
