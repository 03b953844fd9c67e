package executorconfig_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/fault"
)

// linux is a machine on which every runtime could work.
var linux = config.Host{OS: "linux", Arch: "amd64", Version: "5.4.3", Hostname: "machine", WorkDir: "/wd", UID: 1000}

// minimal is what has to be set.
var minimal = map[string]string{
	"EXECUTOR_FRONTEND_URL":      "http://frontend.test:3080",
	"EXECUTOR_FRONTEND_PASSWORD": "hunter2-hunter2-hunter2",
	"EXECUTOR_QUEUE_NAME":        "batches",
}

// with adds variables to the minimal environment.
func with(extra map[string]string) map[string]string {
	env := maps.Clone(minimal)
	maps.Copy(env, extra)
	return env
}

// without removes variables from the minimal environment.
func without(names ...string) map[string]string {
	env := maps.Clone(minimal)
	for _, name := range names {
		delete(env, name)
	}
	return env
}

func lookup(env map[string]string) config.Lookup {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

func load(t *testing.T, env map[string]string, host config.Host) executorconfig.Config {
	t.Helper()
	cfg, err := executorconfig.Load(lookup(env), host)
	require.NoError(t, err)
	return cfg
}

// loadError returns the text of the error that loading gives.
func loadError(t *testing.T, env map[string]string, host config.Host) string {
	t.Helper()
	cfg, err := executorconfig.Load(lookup(env), host)
	require.Error(t, err)
	require.Equal(t, fault.Operator, fault.ClassOf(err))
	require.Equal(t, executorconfig.Config{}, cfg)
	return err.Error()
}

func quantity(t *testing.T, text string) resource.Quantity {
	t.Helper()
	parsed, err := resource.ParseQuantity(text)
	require.NoError(t, err)
	return parsed
}
