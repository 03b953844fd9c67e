package docker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command"
)

// Without an engine, client 20.10 fails over the template, others print 0; people want to read why.
func TestCPUsSaysWhyThereIsNoEngine(t *testing.T) {
	const why = "Cannot connect to the Docker daemon at unix:///nowhere/docker.sock"
	for name, info := range map[string]struct{ out, err, code string }{
		"template": {"", "template: :1:2: executing \"\" at <.NCPU>: reflect: indirection through nil pointer", "1"},
		"zero":     {"0\n", "", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFakeDocker(t)
			fake.set(t, "info.out", info.out)
			fake.set(t, "info.err", info.err)
			fake.set(t, "info.code", info.code)
			fake.set(t, "version.err", why)
			fake.set(t, "version.code", "1")
			_, err := NewEngine(&command.Runner{}).cpus(t.Context())
			require.ErrorContains(t, err, why)

			fake.set(t, "version.err", "")
			fake.set(t, "version.code", "0")
			_, err = NewEngine(&command.Runner{}).cpus(t.Context())
			require.ErrorContains(t, err, "docker info: ", "an engine that answers, but not this")
		})
	}
}

func TestCPUs(t *testing.T) {
	newFakeDocker(t)
	cpus, err := NewEngine(&command.Runner{}).cpus(t.Context())
	require.NoError(t, err)
	require.Equal(t, 64, cpus)
}
