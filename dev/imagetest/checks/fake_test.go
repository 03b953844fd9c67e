package checks

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/imagetest/schema"
)

// fakeEngine plays an engine whose images are named "image" and, after snapshots, "image+1" and so on.
type fakeEngine struct {
	config  Config
	files   map[string]File
	outcome Outcome
	err     error
	// hang makes runs last as long as their context.
	hang bool

	runs      []Run
	snapshots []Run
	// baked is the environment of the newest snapshot.
	baked map[string]string
}

func (e *fakeEngine) Config(_ context.Context, image string) (Config, error) {
	config := e.config
	if strings.Contains(image, "+") {
		config.Env = e.baked
	}
	return config, e.err
}

func (e *fakeEngine) File(_ context.Context, _, path string) (File, error) {
	file, found := e.files[path]
	if e.err != nil {
		return File{}, e.err
	}
	if !found {
		return File{}, fmt.Errorf("%s: %w", path, ErrNoFile)
	}
	return file, nil
}

func (e *fakeEngine) Run(ctx context.Context, run Run) (Outcome, error) {
	e.runs = append(e.runs, run)
	if e.hang {
		<-ctx.Done()
		return Outcome{}, ctx.Err()
	}
	return e.outcome, e.err
}

func (e *fakeEngine) Snapshot(_ context.Context, run Run) (string, int, error) {
	e.snapshots = append(e.snapshots, run)
	if e.baked == nil {
		e.baked = maps.Clone(e.config.Env)
	}
	for _, entry := range run.Env {
		key, value, _ := strings.Cut(entry, "=")
		e.baked[key] = value
	}
	return fmt.Sprintf("image+%d", len(e.snapshots)), e.outcome.ExitCode, e.err
}

func fileOf(content string, mode os.FileMode) File {
	return File{ReadCloser: io.NopCloser(strings.NewReader(content)), Mode: mode, Size: int64(len(content))}
}

func linkTo(to string) File {
	return File{ReadCloser: io.NopCloser(strings.NewReader("")), Mode: os.ModeSymlink | 0o777, LinkTo: to}
}

// check runs the tests of a text of YAML.
func check(t *testing.T, e *fakeEngine, text string) []Result {
	t.Helper()
	f, err := schema.Parse("x.yaml", []byte("schemaVersion: 2.0.0\n"+text))
	require.NoError(t, err)
	var results []Result
	env := func(name string) string { return map[string]string{"HOME": "/root"}[name] }
	runner := Runner{Engine: e, Image: "image", Limit: time.Minute, Env: env}
	require.NoError(t, runner.RunFile(t.Context(), f, func(r Result) { results = append(results, r) }))
	return results
}

// one runs the one test of a text of YAML and returns its failures.
func one(t *testing.T, e *fakeEngine, text string) []string {
	t.Helper()
	results := check(t, e, text)
	require.Len(t, results, 1)
	return results[0].Failures
}
