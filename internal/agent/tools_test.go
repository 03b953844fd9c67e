package agent

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sourcegraph/log"
	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/version"
)

func TestTelemetryNamesVersions(t *testing.T) {
	t.Parallel()
	want := api.Telemetry{
		OS: "linux", Architecture: "arm64", ExecutorVersion: version.Version(),
		GitVersion: "2.39.5", SrcCliVersion: "5.2.1", DockerVersion: "20.10.24",
	}
	require.Equal(t, want, complete(nil).Telemetry(t.Context(), log.NoOp(), "linux", "arm64", false))

	want.SrcCliVersion, want.DockerVersion = "", ""
	require.Equal(t, want, complete(nil).Telemetry(t.Context(), log.NoOp(), "linux", "arm64", true), "Kubernetes asks neither docker nor src")
}

func TestTelemetryLeavesEmptyWhatFails(t *testing.T) {
	t.Parallel()
	logger, logged := logtest.Captured(t)
	tools := installed(map[string]string{
		"git version":                           "git version 2.39.5 (Apple Git-154)\nmore\n",
		"docker version -f {{.Server.Version}}": "error: no engine",
	})
	got := tools.Telemetry(t.Context(), logger, "linux", "amd64", false)
	require.Equal(t, "2.39.5 (Apple Git-154)", got.GitVersion)
	require.Empty(t, got.DockerVersion)
	require.Empty(t, got.SrcCliVersion)
	require.Equal(t, []string{"finding a tool's version failed", "tool is not installed"}, logged().Messages())
}

func TestTelemetryIsBounded(t *testing.T) {
	t.Parallel()
	tools := Tools{Output: func(ctx context.Context, _ string, _ ...string) (string, error) {
		deadline, ok := ctx.Deadline()
		require.True(t, ok)
		require.LessOrEqual(t, time.Until(deadline), 5*time.Second)
		return "", ctx.Err()
	}}
	tools.Telemetry(t.Context(), log.NoOp(), "linux", "amd64", false)
}

func TestMissingToolsAreNamedInOrderWithHints(t *testing.T) {
	t.Parallel()
	require.NoError(t, complete(nil).CheckPresent("src", "git", "docker"))

	err := installed(nil).CheckPresent("src", "losetup", "git", "docker")
	require.Equal(t, fault.Operator, fault.ClassOf(err))
	require.EqualError(t, err, `docker not found in PATH, is it installed?
`+installHints["docker"]+`
git not found in PATH, is it installed?
`+installHints["git"]+`
losetup not found in PATH, is it installed?
src not found in PATH, is it installed?
`+installHints["src"])
}

func TestCheckGit(t *testing.T) {
	t.Parallel()
	for printed, want := range map[string]string{
		"git version 2.31.0\n":                 "",
		"git version 2.39.5 (Apple Git-154)\n": "",
		"git version 3.0.0\n":                  "",
		"git version 2.30.9\n":                 "git is too old: found 2.30.9, want at least 2.31",
		"git version 1.9\n":                    "git is too old: found 1.9.0, want at least 2.31",
		"git version of mine\n":                `git's version "of mine" can't be read`,
		"":                                     `git's version "" can't be read`,
		"error: cannot execute":                "'git version': error: cannot execute: ",
	} {
		err := complete(map[string]string{"git version": printed}).CheckGit(t.Context())
		if want == "" {
			require.NoError(t, err, printed)
			continue
		}
		require.ErrorContains(t, err, want)
		require.Equal(t, fault.Operator, fault.ClassOf(err), printed)
	}
}

func TestCheckSrc(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ found, recommended, warning, failure string }{
		{found: "5.2.1", recommended: "5.2.1"},
		{found: "5.2.7", recommended: "5.2.1"},
		{found: "dev", recommended: "5.2.1"},
		{found: "0.0.0+dev", recommended: "5.2.1"},
		{found: "5.2.0", recommended: "5.2.1", warning: "src 5.2.0 is behind the recommended 5.2.1"},
		{found: "5.3.1", recommended: "5.2.1", failure: "src 5.3.1 does not fit the frontend, which recommends 5.2.1"},
		{found: "5.1.1", recommended: "5.2.1", failure: "src 5.1.1 does not fit the frontend, which recommends 5.2.1"},
		{found: "4.2.1", recommended: "5.2.1", failure: "src 4.2.1 does not fit the frontend, which recommends 5.2.1"},
		{found: "unknown", recommended: "5.2.1", failure: `src's version "unknown" can't be read`},
		{found: "5.2.1", recommended: "latest", failure: `the frontend recommends src "latest", which can't be read`},
	} {
		tools := complete(map[string]string{"src version -client-only": "Current version: " + test.found + "\n"})
		warning, err := tools.CheckSrc(t.Context(), test.recommended)
		require.Equal(t, test.warning, warning, test.found)
		if test.failure == "" {
			require.NoError(t, err, test.found)
			continue
		}
		require.ErrorContains(t, err, test.failure)
	}

	_, err := installed(nil).CheckSrc(t.Context(), "5.2.1")
	require.ErrorContains(t, err, "'src version -client-only': ")
	require.Equal(t, fault.Operator, fault.ClassOf(err))
}

// Programs that only tell their version see nothing of the executor's configuration.
func TestToolsRunWithoutSecrets(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tool"), []byte("#!/bin/sh\necho warning >&2\nenv\nexit $1\n"), 0o700))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("EXECUTOR_FRONTEND_PASSWORD", "hunter2")

	out, err := NewTools().Output(t.Context(), "tool", "0")
	require.NoError(t, err)
	require.Contains(t, out, "PATH="+dir)
	require.NotContains(t, out, "hunter2")
	require.NotContains(t, out, "warning", "standard error is no part of an answer")

	out, err = NewTools().Output(t.Context(), "tool", "3")
	require.ErrorContains(t, err, "exit status 3")
	require.Contains(t, out, "warning")

	_, err = NewTools().Output(t.Context(), "no-such-tool")
	require.ErrorIs(t, err, exec.ErrNotFound)
	_, err = NewTools().LookPath("tool")
	require.NoError(t, err)
}
