//go:build e2e

// Package e2e tells stories: what operators and users do, with the real programs, real git, and real containers. Scenarios with
// containers have the build tag docker besides e2e; dev/test runs them all.
package e2e

import (
	"testing"

	"github.com/open-executor/executor/e2e/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
