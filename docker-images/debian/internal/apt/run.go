// Package apt asks Debian's archives through the machine's own apt: its mirror, its proxies, its keys. It never touches the machine's own
// lists, caches or packages.
package apt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Helper downloads with apt's own methods.
const Helper = "/usr/lib/apt/apt-helper"

// maxOutput bounds what is kept of a program's output, in bytes. Paragraphs of a few hundred packages take about one megabyte.
const maxOutput = 16 << 20

// Runner runs a program with additional NAME=value pairs of environment, and returns what it printed. Where it fails the error is an
// *ExitError or says why it could not be started.
type Runner func(ctx context.Context, env []string, name string, args ...string) (stdout string, err error)

// ExitError is a program that ran and failed.
type ExitError struct {
	Program string
	Code    int
	// Stderr is what it said, without the noise of apt's warnings.
	Stderr string
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("%s failed with exit code %d: %s", e.Program, e.Code, e.Stderr)
}

// Run is the Runner of the machine.
func Run(ctx context.Context, env []string, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Env = append(os.Environ(), append([]string{"LC_ALL=C"}, env...)...)
	stdout, stderr := &bounded{}, &bounded{}
	command.Stdout, command.Stderr = stdout, stderr
	err := command.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
		return stdout.String(), &ExitError{Program: name, Code: exit.ExitCode(), Stderr: errorsOf(stderr.String())}
	}
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s: %w", name, context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("%s is not there: this needs a machine with Debian's apt", name)
	case err != nil:
		return "", fmt.Errorf("%s: %w", name, err)
	case stdout.over:
		return "", fmt.Errorf("%s printed more than %d bytes", name, maxOutput)
	}
	return stdout.String(), nil
}

// errorsOf keeps the lines that apt marks as errors, or all where it marks none.
func errorsOf(stderr string) string {
	var marked []string
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "E: ") {
			marked = append(marked, strings.TrimSpace(line[3:]))
		}
	}
	if marked == nil {
		return strings.TrimSpace(stderr)
	}
	return strings.Join(marked, "\n")
}

// bounded keeps the first maxOutput bytes.
type bounded struct {
	bytes.Buffer
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxOutput {
		b.over = true
		return len(p), nil
	}
	return b.Buffer.Write(p)
}
