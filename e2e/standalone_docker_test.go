//go:build e2e && docker

package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/e2e/harness"
)

// With an engine and the image, the examples run in containers, and there is nothing to tell.
func TestStandaloneInContainers(t *testing.T) {
	t.Parallel()
	require.Empty(t, requireExamples(t, nil, harness.Image(t)))
	got := standalone(t, nil, "run", "--runtime", "docker", jobFile(t, "steps: [{image: '"+harness.Image(t)+"', run: 'test -e /.dockerenv && exit 3'}]"))
	require.Equal(t, 1, got.Code, got.Stderr)
	require.Contains(t, got.Stdout, "command failed with exit code 3")
}

// An engine alone is not enough: without the image, and without a registry to pull it from, the examples run on this host.
func TestStandaloneWithoutARegistry(t *testing.T) {
	t.Parallel()
	const image = "127.0.0.1:1/busybox:1.37"
	said := requireExamples(t, nil, image)
	require.Contains(t, said, "No container can run here: image "+image+" could not be pulled: ")
	require.Contains(t, said, "WITHOUT ISOLATION")
	got := standalone(t, nil, "run", "--runtime", "docker", example(t, "hello.yaml", image))
	require.Equal(t, 1, got.Code)
	require.Contains(t, got.Stderr, "image "+image+" could not be pulled: ")
	require.NotContains(t, got.Stderr, "WITHOUT ISOLATION")
}

func TestStandaloneIsInterruptedInContainers(t *testing.T) {
	t.Parallel()
	testInterrupts(t, inContainers(t))
}

func TestStandaloneIsKilledInContainers(t *testing.T) {
	t.Parallel()
	testStandaloneIsKilled(t, inContainers(t))
}
