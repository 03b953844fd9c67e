package agent

import (
	"context"
	"maps"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// settings is the configuration of a shell executor of the queue batches with the given variables besides.
func settings(t *testing.T, frontendURL string, extra map[string]string) executorconfig.Config {
	t.Helper()
	env := map[string]string{
		"EXECUTOR_FRONTEND_URL":      frontendURL,
		"EXECUTOR_FRONTEND_PASSWORD": frontendtest.Token,
		"EXECUTOR_QUEUE_NAME":        "batches",
		"EXECUTOR_RUNTIME":           "shell",
		"TMPDIR":                     t.TempDir(),
	}
	maps.Copy(env, extra)
	lookup := func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
	loaded, err := executorconfig.Load(lookup, config.Host{OS: "linux", Arch: "amd64", Hostname: "machine", WorkDir: "/", UID: 1000})
	require.NoError(t, err)
	return loaded
}

// installed are tools that print what the map says for a command line; the others are not there.
func installed(printed map[string]string) Tools {
	programs := make(map[string]bool)
	for words := range printed {
		program, _, _ := strings.Cut(words, " ")
		programs[program] = true
	}
	missing := func(name string) error { return &exec.Error{Name: name, Err: exec.ErrNotFound} }
	return Tools{
		LookPath: func(name string) (string, error) {
			if programs[name] {
				return "/bin/" + name, nil
			}
			return "", missing(name)
		},
		Output: func(_ context.Context, name string, args ...string) (string, error) {
			out, ok := printed[strings.Join(append([]string{name}, args...), " ")]
			switch {
			case !ok:
				return "", missing(name)
			case strings.HasPrefix(out, "error: "):
				return out, &exec.ExitError{}
			}
			return out, nil
		},
	}
}

// complete are tools with which everything works.
func complete(change map[string]string) Tools {
	printed := map[string]string{
		"git version":                           "git version 2.39.5\n",
		"src version -client-only":              "Current version: 5.2.1\n",
		"docker version -f {{.Server.Version}}": "20.10.24\n",
		"mke2fs":                                "",
		"nft":                                   "",
		"qemu-system-x86_64":                    "",
		"sqfstar":                               "",
	}
	maps.Copy(printed, change)
	return installed(printed)
}
