package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/command/commandtest"
)

func shell(script string, args ...string) []string {
	return append([]string{"/bin/sh", "-c", script, "sh"}, args...)
}

func shellRunner() *command.Runner { return &command.Runner{Allowed: []string{"/bin/sh"}} }

func TestRunLogsOutputAndExitCode(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		out    string
		code   int
		err    error
	}{
		"success":        {"echo one; echo two", "stdout: one\nstdout: two\n", 0, nil},
		"stderr":         {"echo oops >&2; exit 3", "stderr: oops\n", 3, &command.ExitError{Code: 3}},
		"no newline":     {"printf end", "stdout: end\n", 0, nil},
		"silent":         {":", "", 0, nil},
		"killed":         {"kill -9 $$", "", -1, &command.ExitError{Code: -1}},
		"no input":       {"cat; echo done", "stdout: done\n", 0, nil},
		"highest code":   {"exit 255", "", 255, &command.ExitError{Code: 255}},
		"late writer":    {"(printf a; exec sleep 0.2; ) | (cat; echo b) & exit 4", "stdout: ab\n", 4, &command.ExitError{Code: 4}},
		"carriage turns": {`printf '1\r2\r\n'`, "stdout: 1\r2\r\n", 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := commandtest.NewLog()
			err := shellRunner().Run(t.Context(), log, command.Spec{Key: "step", Words: shell(test.script)})
			require.Equal(t, test.err, err)
			entry := log.Entry(t, "step")
			require.Equal(t, test.out, entry.Out)
			require.True(t, entry.Closed)
			require.Equal(t, test.code, entry.ExitCode)
			require.Equal(t, shell(test.script), entry.Command)
		})
	}
}

func TestRunHandsOnLargeOutputWhole(t *testing.T) {
	t.Parallel()
	log := commandtest.NewLog()
	err := shellRunner().Run(t.Context(), log, command.Spec{Key: "step", Words: shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")})
	require.NoError(t, err)
	out := log.Entry(t, "step").Out
	require.Equal(t, 20000, strings.Count(out, "\n"))
	require.True(t, strings.HasSuffix(out, "\nstdout: line 19999\n"))
}

func TestRunShowsOtherWordsWhenAsked(t *testing.T) {
	t.Parallel()
	log := commandtest.NewLog()
	spec := command.Spec{Key: "step", Words: shell("exit 0", "secret"), Shown: []string{"sh", "…"}}
	require.NoError(t, shellRunner().Run(t.Context(), log, spec))
	require.Equal(t, []string{"sh", "…"}, log.Entry(t, "step").Command)
}

func TestRunRefusesUnknownPrograms(t *testing.T) {
	t.Parallel()
	for name, words := range map[string][]string{
		"none":            nil,
		"empty":           {""},
		"unknown":         {"rm", "-rf", "x"},
		"shell":           {"/bin/sh", "-c", "exit 0"},
		"path of allowed": {"/usr/bin/git"},
		"padded":          {" git"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := commandtest.NewLog()
			runner := command.Runner{Observe: func(string, time.Duration, error) { t.Error("observed") }}
			err := runner.Run(t.Context(), log, command.Spec{Key: "step", Words: words})
			require.ErrorIs(t, err, command.ErrIllegal)
			require.EqualError(t, err, "illegal command")
			require.Empty(t, log.Entries())
		})
	}
}

func TestRunAllowsGit(t *testing.T) {
	t.Parallel()
	log := commandtest.NewLog()
	runner := new(command.Runner)
	require.NoError(t, runner.Run(t.Context(), log, command.Spec{Key: "git", Words: []string{"git", "version"}}))
	require.Contains(t, log.Entry(t, "git").Out, "stdout: git version ")
}

func TestRunSaysWhatKeptItFromStarting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	notExecutable := filepath.Join(dir, "plain")
	require.NoError(t, os.WriteFile(notExecutable, []byte("text"), 0o600))
	notProgram := filepath.Join(dir, "garbage")
	require.NoError(t, os.WriteFile(notProgram, []byte("\x00text"), 0o700))
	for name, test := range map[string]struct {
		spec command.Spec
		is   error
	}{
		"no program":     {command.Spec{Words: []string{filepath.Join(dir, "missing")}}, fs.ErrNotExist},
		"not executable": {command.Spec{Words: []string{notExecutable}}, fs.ErrPermission},
		"no format":      {command.Spec{Words: []string{notProgram}}, nil},
		"no directory":   {command.Spec{Words: shell("exit 0"), Dir: filepath.Join(dir, "missing")}, fs.ErrNotExist},
		"NUL in env":     {command.Spec{Words: shell("exit 0"), Env: []string{"A=\x00"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := commandtest.NewLog()
			test.spec.Key = "step"
			runner := command.Runner{Allowed: []string{test.spec.Words[0]}}
			err := runner.Run(t.Context(), log, test.spec)
			require.ErrorContains(t, err, "starting "+filepath.Base(test.spec.Words[0])+": ")
			if test.is != nil {
				require.ErrorIs(t, err, test.is)
			}
			entry := log.Entry(t, "step")
			require.Equal(t, -1, entry.ExitCode)
			require.Contains(t, err.Error(), strings.TrimSpace(entry.Out))
			require.NotEmpty(t, entry.Out)
		})
	}
}

func TestRunLooksProgramsUpInPath(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	log := commandtest.NewLog()
	err := new(command.Runner).Run(t.Context(), log, command.Spec{Key: "step", Words: []string{"docker", "version"}})
	require.ErrorIs(t, err, exec.ErrNotFound)
	require.Equal(t, -1, log.Entry(t, "step").ExitCode)
}

func TestRunGivesTheChildAMinimalEnvironment(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "DOCKER_HOST", "USER"} {
		t.Setenv(name, "")
		require.NoError(t, os.Unsetenv(name))
	}
	t.Setenv("HOME", "/host/home")
	t.Setenv("USER", "host-user")
	t.Setenv("HTTPS_PROXY", "http://proxy.example:1")
	t.Setenv("no_proxy", "host.example")
	t.Setenv("SSL_CERT_FILE", "")
	t.Setenv("EXECUTOR_FRONTEND_PASSWORD", "not for children")

	log := commandtest.NewLog()
	runner := command.Runner{Allowed: []string{os.Args[0]}, Mark: "EXECUTOR_JOB=7"}
	err := runner.Run(t.Context(), log, command.Spec{
		Key:   "step",
		Words: []string{os.Args[0], helperEnviron},
		Env:   []string{"A=1\n2", "HOME=/job/home", "DOCKER_HOST=tcp://job", "no_proxy=127.0.0.1", "EMPTY="},
	})
	require.NoError(t, err)
	var got []string
	require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(log.Entry(t, "step").Out, "stdout: ")), &got))
	require.ElementsMatch(t, []string{
		"A=1\n2", "EMPTY=",
		// The host's win, set or not.
		"HOME=/host/home", "PATH=" + os.Getenv("PATH"), "USER=host-user", "DOCKER_HOST=",
		// The command's win.
		"no_proxy=127.0.0.1",
		"HTTPS_PROXY=http://proxy.example:1", "SSL_CERT_FILE=",
		"EXECUTOR_JOB=7",
	}, got)
}

func TestDoneMayReplaceTheErrorAndAddANote(t *testing.T) {
	t.Parallel()
	log := commandtest.NewLog()
	reason := errors.New("out of memory")
	var observed error
	runner := shellRunner()
	runner.Observe = func(key string, took time.Duration, err error) {
		require.Equal(t, "step", key)
		require.Positive(t, took)
		observed = err
	}
	err := runner.Run(t.Context(), log, command.Spec{
		Key:   "step",
		Words: shell("exit 137"),
		Done: func(entry command.Entry, err error) error {
			require.Equal(t, &command.ExitError{Code: 137}, err)
			fmt.Fprintln(entry, "Killed: out of memory")
			return reason
		},
	})
	require.Equal(t, reason, err)
	require.Equal(t, reason, observed)
	require.Equal(t, commandtest.Entry{
		Key: "step", Command: shell("exit 137"), Out: "Killed: out of memory\n", Closed: true, ExitCode: 137,
	}, log.Entry(t, "step"))
}

func TestRunStartsNothingWhenTheContextHasEnded(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ran")
	cause := errors.New("canceled by a user")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	log := commandtest.NewLog()
	err := shellRunner().Run(ctx, log, command.Spec{Key: "step", Words: shell("touch " + file)})
	require.Equal(t, cause, err)
	require.NoFileExists(t, file)
	require.Equal(t, -1, log.Entry(t, "step").ExitCode)
}
