package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/frontend/jobsapi/jobsapitest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// No test runs beside another: urfave/cli keeps state of its help and version flags in variables of its own.
func TestMain(m *testing.M) {
	// Clients use the process's default transport, whose idle connections outlive a test.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// lockedBuffer takes output while a test looks at it.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
	wrote  chan struct{}
}

func newBuffer() *lockedBuffer { return &lockedBuffer{wrote: make(chan struct{}, 1)} }

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.buffer.Write(p)
	select {
	case b.wrote <- struct{}{}:
	default:
	}
	return n, err
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// await returns when the output has text in it.
func (b *lockedBuffer) await(text string) {
	for !strings.Contains(b.String(), text) {
		<-b.wrote
	}
}

// shell runs execctl in this process against a frontend.
type shell struct {
	t   *testing.T
	f   *jobsapitest.Frontend
	env map[string]string
}

func newShell(t *testing.T) *shell {
	t.Helper()
	f := jobsapitest.Start(t, jobsapitest.Options{})
	return &shell{t: t, f: f, env: map[string]string{"EXECCTL_URL": f.URL, "EXECCTL_TOKEN": jobsapitest.Token, "MY_TOKEN": "s3cret-value"}}
}

// world is what a command sees; its output is in the buffers.
func (s *shell) world(stdin string, args ...string) (w world, stdout, stderr *lockedBuffer) {
	stdout, stderr = newBuffer(), newBuffer()
	return world{
		args:   append([]string{"execctl"}, args...),
		stdin:  strings.NewReader(stdin),
		stdout: stdout,
		stderr: stderr,
		env: func(name string) (string, bool) {
			value, ok := s.env[name]
			return value, ok
		},
		uid: 1000,
		now: s.f.Now,
	}, stdout, stderr
}

// run runs a command to its end and returns all of it as a transcript.
func (s *shell) run(command string) string {
	s.t.Helper()
	w, stdout, stderr := s.world("", strings.Fields(command)...)
	code := run(context.Background(), w)
	return s.transcript(command, stdout, stderr, code)
}

func (s *shell) transcript(command string, stdout, stderr *lockedBuffer, code int) string {
	out := fmt.Sprintf("$ execctl %s\n%s", command, stdout)
	if stderr.String() != "" {
		out += "stderr: " + stderr.String()
	}
	if code != 0 {
		out += fmt.Sprintf("exit code %d\n", code)
	}
	return strings.ReplaceAll(out, s.f.URL, "http://frontend") + "\n"
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
