// Package checks runs the tests of a file against an image. It knows no engine: containers are made by what it is given.
package checks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/open-executor/executor/dev/imagetest/schema"
)

// Engine makes containers of images. Its methods are called one after another, and leave no container behind.
type Engine interface {
	// Config returns the image's configuration.
	Config(ctx context.Context, image string) (Config, error)
	// File opens a file, directory or link of the image without following a last link. It is ErrNoFile when there is nothing.
	File(ctx context.Context, image, path string) (File, error)
	// Run runs a command to its end.
	Run(ctx context.Context, run Run) (Outcome, error)
	// Snapshot does as Run does and returns an image of what the command left, and the command's exit code. The engine removes the image
	// when it is closed.
	Snapshot(ctx context.Context, run Run) (image string, exitCode int, err error)
}

// ErrNoFile says that there is nothing at a path.
var ErrNoFile = errors.New("there is no such file")

// Config is what an image says about itself. Ports are numbers without protocol.
type Config struct {
	Cmd, Entrypoint []string
	Env, Labels     map[string]string
	Ports, Volumes  []string
	User, Workdir   string
}

// Run is a command in a container.
type Run struct {
	Image   string
	Command []string
	// Env are variables on top of the image's, as key=value.
	Env     []string
	Options schema.RunOptions
}

// Outcome is what a command did.
type Outcome struct {
	ExitCode       int
	Stdout, Stderr string
}

// File is an entry of an image. The content of what is no regular file is empty. It must be closed.
type File struct {
	io.ReadCloser
	Mode     os.FileMode
	UID, GID int
	Size     int64
	// LinkTo is where a symbolic link leads to.
	LinkTo string
}

// Result is what came of a test.
type Result struct {
	Name string
	// Failures say what is not as it should be; a test without any has passed.
	Failures []string
	// Notes say what doesn't fail the test and should be known all the same.
	Notes    []string
	Duration time.Duration
}

func (r *Result) fail(format string, args ...any) {
	r.Failures = append(r.Failures, fmt.Sprintf(format, args...))
}

// Runner runs tests against one image.
type Runner struct {
	Engine Engine
	Image  string
	// Limit bounds each test.
	Limit time.Duration
	// Env looks a variable of the runner's own environment up.
	Env func(string) string
}

// RunFile runs a file's tests in the order of the real tool and tells each result as it comes. It stops early with the context.
func (r Runner) RunFile(ctx context.Context, f *schema.File, tell func(Result)) error {
	type test struct {
		name string
		run  func(context.Context, *Result)
	}
	var tests []test
	for _, c := range f.Commands {
		tests = append(tests, test{"Command Test: " + c.Name, func(ctx context.Context, result *Result) { r.command(ctx, f, c, result) }})
	}
	for _, c := range f.Contents {
		tests = append(tests, test{"File Content Test: " + c.Name, func(ctx context.Context, result *Result) { r.content(ctx, c, result) }})
	}
	for _, e := range f.Existences {
		tests = append(tests, test{"File Existence Test: " + e.Name, func(ctx context.Context, result *Result) { r.existence(ctx, f, e, result) }})
	}
	if f.Metadata != nil {
		tests = append(tests, test{"Metadata Test", func(ctx context.Context, result *Result) { r.metadata(ctx, *f.Metadata, result) }})
	}
	for _, t := range tests {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		result, began := Result{Name: t.name}, time.Now()
		limited, cancel := context.WithTimeoutCause(ctx, r.Limit, fmt.Errorf("it took longer than %s", r.Limit))
		t.run(limited, &result)
		cancel()
		result.Duration = time.Since(began)
		if err := context.Cause(ctx); err != nil && len(result.Failures) > 0 {
			return err
		}
		tell(result)
	}
	return nil
}

// why returns the reason that a context ended where that is why something failed.
func why(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
