package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/imagetest/checks"
)

// fakeSession is an engine with one image, "there", in which commands print "hello".
type fakeSession struct {
	closeErr error
	// wait is called by every command.
	wait func(context.Context) error

	closed bool
	loaded string
}

func (s *fakeSession) Config(_ context.Context, image string) (checks.Config, error) {
	if image != "there" {
		return checks.Config{}, errors.New("the engine has no image " + image)
	}
	return checks.Config{User: "1000"}, nil
}

func (s *fakeSession) File(context.Context, string, string) (checks.File, error) {
	return checks.File{}, checks.ErrNoFile
}

func (s *fakeSession) Run(ctx context.Context, _ checks.Run) (checks.Outcome, error) {
	if s.wait != nil {
		return checks.Outcome{}, s.wait(ctx)
	}
	return checks.Outcome{Stdout: "hello"}, nil
}

func (s *fakeSession) Snapshot(context.Context, checks.Run) (string, int, error) {
	return "there", 4, nil
}

func (s *fakeSession) Load(_ context.Context, file string) (string, error) {
	s.loaded = file
	if file == "broken" {
		return "", errors.New("broken: no archive of an image")
	}
	return "there", nil
}

func (s *fakeSession) Close() error { s.closed = true; return s.closeErr }

func config(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image_test.yaml")
	require.NoError(t, os.WriteFile(path, []byte("schemaVersion: 2.0.0\n"+text), 0o600))
	return path
}

// program runs the program and returns its exit code and what it printed, times left out.
func program(ctx context.Context, s *fakeSession, args ...string) (code int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	code = run(ctx, args, &out, &errOut, func(context.Context) (session, error) { return s, nil })
	var lines []string
	for line := range strings.Lines(out.String()) {
		if name, _, timed := strings.Cut(line, " ("); timed && !strings.HasPrefix(line, " ") {
			line = name + "\n"
		}
		lines = append(lines, line)
	}
	return code, strings.Join(lines, ""), errOut.String()
}

const (
	passes = "commandTests: [{name: hello, setup: [[a, b]], command: x, expectedOutput: [hello]}]\n"
	fails  = "metadataTest: {user: root}\nfileExistenceTests: [{name: gone, path: /x, shouldExist: false}]\n"
)

func TestAllPass(t *testing.T) {
	t.Parallel()
	s := &fakeSession{}
	code, stdout, stderr := program(t.Context(), s, "--image", "there", "--config", config(t, passes))
	require.Equal(t, allPassed, code)
	require.Equal(t, "ok Command Test: hello\n    note: setup command \"a b\" has exit code 4\n1 passed, 0 failed\n", stdout)
	require.Empty(t, stderr)
	require.True(t, s.closed)
	require.Empty(t, s.loaded)
}

func TestSomeFail(t *testing.T) {
	t.Parallel()
	s := &fakeSession{}
	code, stdout, stderr := program(t.Context(), s, "--tarball=image.tar", "--config="+config(t, passes), "--config="+config(t, fails))
	require.Equal(t, someFailed, code)
	require.Contains(t, stdout, "ok File Existence Test: gone\nFAILED Metadata Test\n    user is \"1000\", want \"root\"\n2 passed, 1 failed\n")
	require.Empty(t, stderr)
	require.True(t, s.closed)
	require.Equal(t, "image.tar", s.loaded)
}

func TestCouldNotRun(t *testing.T) {
	t.Parallel()
	good := config(t, passes)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"nothing":      {nil, "give either --image or --tarball"},
		"both":         {[]string{"--image=there", "--tarball=x", "--config=" + good}, "give either --image or --tarball"},
		"no config":    {[]string{"--image=there"}, "give at least one --config"},
		"no flag":      {[]string{"--image=there", "--config=" + good, good}, "is no flag"},
		"unknown flag": {[]string{"--driver=docker"}, "flag provided but not defined: -driver"},
		"no time":      {[]string{"--image=there", "--config=" + good, "--timeout=0s"}, "they must be more than 0"},
		"no file":      {[]string{"--image=there", "--config=none.yaml"}, "none.yaml"},
		"mistake":      {[]string{"--image=there", "--config=" + good, "--config=" + config(t, "commandTest: []\n")}, `:2:1: a file of tests has no member "commandTest"`},
		"no image":     {[]string{"--image=gone", "--config=" + good}, "the engine has no image gone"},
		"broken":       {[]string{"--tarball=broken", "--config=" + good}, "broken: no archive of an image"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &fakeSession{}
			code, stdout, stderr := program(t.Context(), s, c.args...)
			require.Equal(t, couldNotRun, code)
			require.Contains(t, stderr, c.want)
			require.Contains(t, stderr, "imagetest: ")
			require.Empty(t, stdout, "no test was run, so none is counted")
		})
	}
}

func TestHelpIsNoError(t *testing.T) {
	t.Parallel()
	code, _, stderr := program(t.Context(), &fakeSession{}, "--help")
	require.Equal(t, allPassed, code)
	require.Contains(t, stderr, "-tarball")
}

func TestWhatIsLeftBehindIsAnError(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := program(t.Context(), &fakeSession{closeErr: errors.New("removing image x: busy")}, "--image=there", "--config="+config(t, passes))
	require.Equal(t, couldNotRun, code)
	require.Contains(t, stdout, "1 passed, 0 failed")
	require.Contains(t, stderr, "removing image x: busy")
}

func TestNoEngine(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"--image=there", "--config=" + config(t, passes)}, &stdout, &stderr, func(context.Context) (session, error) {
		return nil, errors.New("no Docker engine at unix:///x")
	})
	require.Equal(t, couldNotRun, code)
	require.Equal(t, "imagetest: no Docker engine at unix:///x\n", stderr.String())
}

func TestAllTestsTogetherAreBounded(t *testing.T) {
	t.Parallel()
	path := config(t, "commandTests: [{name: a, command: x}, {name: b, command: x}, {name: c, command: x}]\n")
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSession{wait: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		began := time.Now()
		code, stdout, stderr := program(t.Context(), s, "--image=there", "--config="+path, "--timeout=90s", "--test-timeout=1m")
		require.Equal(t, couldNotRun, code)
		require.Equal(t, 90*time.Second, time.Since(began))
		require.Equal(t, "FAILED Command Test: a\n    it took longer than 1m0s\n", stdout)
		require.Contains(t, stderr, "stopped before all tests were run: all tests together took longer than 1m30s")
		require.True(t, s.closed)
	})
}
