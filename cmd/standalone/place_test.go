package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/fault"
)

// fakeEngine answers, and has the images that it has.
type fakeEngine struct {
	down   error
	images map[string]bool
}

func (e fakeEngine) Available(context.Context) error { return e.down }

func (e fakeEngine) Ensure(_ context.Context, image string) error {
	if !e.images[image] {
		return fmt.Errorf("image %s could not be pulled: no such host", image)
	}
	return nil
}

func TestPlaceForJob(t *testing.T) {
	t.Parallel()
	spec := jobs.Spec{Steps: []jobs.Step{{Image: "a"}, {Image: "b"}, {Image: "a"}, {Src: []string{"version"}}}}
	down := fakeEngine{down: errors.New("connection refused")}
	noRegistry := fakeEngine{images: map[string]bool{"a": true}}
	whole := fakeEngine{images: map[string]bool{"a": true, "b": true}}
	for name, test := range map[string]struct {
		wanted executorconfig.Runtime
		engine fakeEngine
		want   executorconfig.Runtime
		says   string
		err    string
	}{
		"auto with all images":      {wanted: "auto", engine: whole, want: "docker"},
		"auto without engine":       {wanted: "auto", engine: down, want: "shell", says: "no Docker engine answers: connection refused"},
		"auto without registry":     {wanted: "auto", engine: noRegistry, want: "shell", says: "image b could not be pulled: no such host"},
		"docker with all images":    {wanted: "docker", engine: whole, want: "docker"},
		"docker without engine":     {wanted: "docker", engine: down, err: "no Docker engine answers: connection refused"},
		"docker without registry":   {wanted: "docker", engine: noRegistry, err: "image b could not be pulled: no such host"},
		"shell whatever the engine": {wanted: "shell", engine: down, want: "shell"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			place, err := placeForJob(t.Context(), test.wanted, test.engine, spec, &stderr)
			if test.err != "" {
				require.EqualError(t, err, test.err)
				require.Equal(t, fault.Operator, fault.ClassOf(err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, place)
			if test.says == "" {
				require.Empty(t, stderr.String())
				return
			}
			require.Contains(t, stderr.String(), test.says)
			require.Contains(t, stderr.String(), "WITHOUT ISOLATION")
		})
	}
}

func TestPlaceForAnyJobNeverFallsBack(t *testing.T) {
	t.Parallel()
	down := fakeEngine{down: errors.New("connection refused")}
	_, err := placeForAnyJob(t.Context(), "auto", down)
	require.ErrorContains(t, err, "--runtime shell")
	require.Equal(t, fault.Operator, fault.ClassOf(err))
	place, err := placeForAnyJob(t.Context(), "auto", fakeEngine{})
	require.NoError(t, err)
	require.Equal(t, executorconfig.RuntimeDocker, place)
	place, err = placeForAnyJob(t.Context(), "shell", down)
	require.NoError(t, err)
	require.Equal(t, executorconfig.RuntimeShell, place)
}

func TestInterruptedPullDoesNotFallBack(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	_, err := placeForJob(ctx, "auto", fakeEngine{down: context.Canceled}, jobs.Spec{}, &bytes.Buffer{})
	require.ErrorIs(t, err, errInterrupted)
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"unknown command": {"bogus"},
		"no file":         {"run"},
		"two files":       {"run", "a", "b"},
		"missing file":    {"run", "nowhere.yaml"},
		"unknown flag":    {"run", "--bogus", "a"},
		"bad repo":        {"run", "--repo", "name", "../../examples/hello.yaml"},
		"missing repo":    {"run", "--repo", "name=/nonexistent", "../../examples/hello.yaml"},
		"bad runtime":     {"run", "--runtime", "vm", "../../examples/hello.yaml"},
		"serve with args": {"serve", "a"},
	} {
		// One after the other: all apps share the help flag, which is a global of the library.
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			err := newApp(&stdout, &stderr).RunContext(t.Context(), append([]string{"standalone"}, args...))
			require.Equal(t, exitUsage, exitCode(err, &stderr))
			require.NotEmpty(t, stderr.String())
		})
	}
}
