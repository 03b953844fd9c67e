//go:build shell

package executorconfig_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/config/executorconfig"
)

func TestAProgramBuiltForTheShellRunsInTheShell(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ set, want executorconfig.Runtime }{
		"auto":          {"auto", executorconfig.RuntimeShell},
		"asked by name": {"docker", executorconfig.RuntimeDocker},
	} {
		cfg := load(t, with(map[string]string{"EXECUTOR_RUNTIME": string(test.set)}), linux)
		require.Equal(t, test.want, cfg.Runtime, name)
		require.False(t, cfg.Firecracker.Enabled, name)
	}
}
