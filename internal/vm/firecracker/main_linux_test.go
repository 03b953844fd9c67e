package firecracker

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets this program be the jailer, under whose name the tests start it.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == Jailer {
		runJailer()
		return
	}
	goleak.VerifyTestMain(m)
}
