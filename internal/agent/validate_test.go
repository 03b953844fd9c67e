package agent

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/queueclient/frontendtest"
)

// auto is what an operator of Docker executors sets: jobs may have src steps.
var auto = map[string]string{"EXECUTOR_RUNTIME": "auto", "EXECUTOR_USE_FIRECRACKER": "false"}

// validate runs the command against a frontend and returns what it printed, what it warned of, and its error.
func validate(t *testing.T, frontendURL string, env map[string]string, tools Tools) (printed string, warned []string, err error) {
	t.Helper()
	logger, logged := logtest.Captured(t)
	var stdout bytes.Buffer
	err = Validate(t.Context(), logger, settings(t, frontendURL, env), tools, &stdout)
	return stdout.String(), logged().Messages(), err
}

func TestValidate(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	for name, test := range map[string]struct {
		env      map[string]string
		printed  map[string]string
		warnings []string
		failure  string
		class    fault.Class
	}{
		"everything fits":       {env: auto},
		"the runtime is named":  {env: map[string]string{"EXECUTOR_RUNTIME": "docker"}, printed: map[string]string{"src version -client-only": "Current version: 1.0.0"}},
		"src is behind":         {env: auto, printed: map[string]string{"src version -client-only": "Current version: 5.2.0"}, warnings: []string{"src 5.2.0 is behind the recommended 5.2.1"}},
		"src does not fit":      {env: auto, printed: map[string]string{"src version -client-only": "Current version: 5.1.0"}, failure: "src 5.1.0 does not fit", class: fault.Operator},
		"git is too old":        {env: auto, printed: map[string]string{"git version": "git version 2.20.1"}, failure: "git is too old", class: fault.Operator},
		"microVMs by default":   {env: map[string]string{"EXECUTOR_RUNTIME": "auto", "EXECUTOR_VM_DIR": "/nowhere"}, failure: "EXECUTOR_USE_FIRECRACKER=false", class: fault.Operator},
		"the token is refused":  {env: map[string]string{"EXECUTOR_FRONTEND_PASSWORD": "another-token"}, failure: "authorization failed: ", class: fault.Operator},
		"and names its setting": {env: map[string]string{"EXECUTOR_FRONTEND_PASSWORD": "another-token"}, failure: "executors.accessToken", class: fault.Operator},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			printed, warnings, err := validate(t, frontend.URL(), test.env, complete(test.printed))
			require.Equal(t, len(test.warnings), len(warnings), warnings)
			for i := range test.warnings {
				require.Equal(t, test.warnings[i], warnings[i])
			}
			if test.failure == "" {
				require.NoError(t, err)
				require.Equal(t, "All checks passed!\n", printed)
				return
			}
			require.ErrorContains(t, err, test.failure)
			require.Equal(t, test.class, fault.ClassOf(err))
			require.Empty(t, printed)
			require.NotContains(t, err.Error(), "another-token")
		})
	}
}

func TestValidateNamesAllMissingToolsAtOnce(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	for runtime, want := range map[string][]string{
		"auto":   {"docker", "git", "src"},
		"docker": {"docker", "git"},
		"shell":  {"git"},

		"firecracker": {"git", "mke2fs", "nft", "qemu-system-x86_64", "sqfstar"},
	} {
		env := maps.Clone(auto)
		env["EXECUTOR_RUNTIME"] = runtime
		_, _, err := validate(t, frontend.URL(), env, installed(nil))
		require.Error(t, err)
		var missing []string
		for line := range strings.Lines(err.Error()) {
			if tool, _, ok := strings.Cut(line, " not found in PATH, is it installed?"); ok {
				missing = append(missing, tool)
			}
		}
		require.Equal(t, want, missing, runtime)
	}
	require.Empty(t, frontend.Requests(), "what is wrong here needs no frontend to be told")
}

func TestValidateTellsHowTheFrontendFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		path    string
		status  int
		failure string
	}{
		{"/.executors/test/auth", http.StatusUnauthorized, "authorization failed: "},
		{"/.executors/test/auth", http.StatusInternalServerError, "failed to validate authorization token: authorization test: unexpected status code 500"},
		{"/.executors/test/auth", http.StatusNotFound, "failed to validate authorization token: authorization test: unexpected status code 404"},
		{"/.api/src-cli/version", http.StatusBadGateway, "asking the frontend for the recommended src version: recommended src version: unexpected status code 502"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == test.path {
				w.WriteHeader(test.status)
				return
			}
			_, _ = w.Write([]byte(`{"version":"5.2.1"}`))
		}))
		_, _, err := validate(t, server.URL, auto, complete(nil))
		require.ErrorContains(t, err, test.failure)
		server.Close()
		_, _, err = validate(t, server.URL, map[string]string{}, complete(nil))
		require.ErrorContains(t, err, "failed to validate authorization token: authorization test: ")
		require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
	}
}

// run --verify asks for tools only; it starts without a good token and waits for one.
func TestVerifyLeavesTheTokenAlone(t *testing.T) {
	t.Parallel()
	frontend := frontendtest.New(t)
	env := maps.Clone(auto)
	env["EXECUTOR_FRONTEND_PASSWORD"] = "another-token"
	require.NoError(t, Verify(t.Context(), logtest.Scoped(t), settings(t, frontend.URL(), env), complete(nil)))
	require.Len(t, frontend.Requests(), 1)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Verify(ctx, logtest.Scoped(t), settings(t, frontend.URL(), env), complete(nil)), context.Canceled)
}
