// Package command runs programs on the host on behalf of a job: it allows only known programs, gives them a minimal
// environment, streams their output into the job's log, and ends the whole process group when the context ends.
package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrIllegal is returned for a program outside the allow list; nothing is logged then.
var ErrIllegal = errors.New("illegal command")

// ExitError says that a command ran and ended with a code other than 0. Code is -1 when a signal ended it.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return fmt.Sprintf("command failed with exit code %d", e.Code) }

// Spec is one command.
type Spec struct {
	// Key is the log key.
	Key string
	// Words are the program and its arguments. The first word must be on the allow list.
	Words []string
	// Dir is the working directory, empty for the executor's own.
	Dir string
	// Env holds NAME=value pairs. The executor's HOME, PATH, USER and DOCKER_HOST come after them and win (spec section 5.6).
	Env []string
	// Shown replaces Words in the log when set.
	Shown []string
	// Stop, when set, is called once when the context ends before the command does; it should make the command end, and
	// runs concurrently with it. It must return in bounded time. Exited is closed when the command has ended and its output is
	// complete. When Stop returns, what is left of the process group is killed. Without it the group gets SIGTERM, then SIGKILL
	// after Grace, or as soon as exited is closed.
	Stop func(exited <-chan struct{})
	// Grace is the time between SIGTERM and SIGKILL; 0 kills at once.
	Grace time.Duration
	// Done, when set, is called before the entry is closed, with the entry and the error that Run will return; what it returns
	// takes that error's place. It can add the reason of a death to the log.
	Done func(entry Entry, err error) error
}

// Runner runs commands. The zero value allows docker, git and src. Safe for concurrent use.
type Runner struct {
	// Allowed are programs allowed besides docker, git and src: "/bin/sh" for the shell runtime.
	Allowed []string
	// Mark is an extra environment entry, NAME=value, set on every child, by which leftovers are found; empty for none.
	Mark string
	// Observe, when set, is told the log key, duration and error of each finished command.
	Observe func(key string, took time.Duration, err error)
}

// forwarded are the host variables that every command sees, always present and possibly empty (spec section 5.6), and after
// them those that reach it only when the executor has them: proxies and certificate authorities.
var (
	forwarded        = []string{"HOME", "PATH", "USER", "DOCKER_HOST"}
	forwardedWhenSet = []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"}
	alwaysAllowed    = []string{"docker", "git", "src"}
)

// Run runs the command to its end and logs it as one entry. It returns the context's cause when the context ended it,
// whatever its exit code; else nil for exit code 0, an *ExitError for another, or what kept it from starting; the entry then
// has exit code -1. When it returns, nothing is left of the command's process group.
func (r *Runner) Run(ctx context.Context, log Log, spec Spec) (err error) {
	if len(spec.Words) == 0 || !slices.Contains(alwaysAllowed, spec.Words[0]) && !slices.Contains(r.Allowed, spec.Words[0]) {
		return ErrIllegal
	}
	started := time.Now()
	shown := spec.Shown
	if shown == nil {
		shown = spec.Words
	}
	entry := log.Open(spec.Key, shown)
	code := -1
	defer func() {
		if spec.Done != nil {
			err = spec.Done(entry, err)
		}
		entry.Close(code)
		if r.Observe != nil {
			r.Observe(spec.Key, time.Since(started), err)
		}
	}()
	code, err = r.run(ctx, entry, spec)
	return err
}

func (r *Runner) run(ctx context.Context, entry Entry, spec Spec) (int, error) {
	if ctx.Err() != nil {
		return -1, context.Cause(ctx)
	}
	program, err := exec.LookPath(spec.Words[0])
	if err != nil {
		fmt.Fprintf(entry, "%s\n", err)
		return -1, fmt.Errorf("starting %s: %w", filepath.Base(spec.Words[0]), err)
	}
	cmd := &exec.Cmd{Path: program, Args: spec.Words, Dir: spec.Dir, Env: r.environ(spec.Env)}
	process, err := start(cmd, entry.Stdout(), entry.Stderr())
	if err != nil {
		fmt.Fprintf(entry, "%s\n", err)
		return -1, fmt.Errorf("starting %s: %w", filepath.Base(spec.Words[0]), err)
	}
	stopped, err := process.wait(ctx, spec)
	if err != nil {
		return -1, fmt.Errorf("waiting for %s: %w", filepath.Base(spec.Words[0]), err)
	}
	code := cmd.ProcessState.ExitCode()
	switch {
	case stopped:
		// Also with exit code 0: a program may end well on SIGTERM without having done its work.
		return code, context.Cause(ctx)
	case code != 0:
		return code, &ExitError{code}
	}
	return 0, nil
}

func (r *Runner) environ(env []string) []string {
	out := slices.Clone(env)
	for _, name := range forwarded {
		out = append(out, name+"="+os.Getenv(name))
	}
	for _, name := range forwardedWhenSet {
		if value, ok := os.LookupEnv(name); ok && !has(env, name) {
			out = append(out, name+"="+value)
		}
	}
	if r.Mark != "" {
		out = append(out, r.Mark)
	}
	return out
}

func has(env []string, name string) bool {
	return slices.ContainsFunc(env, func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
}
