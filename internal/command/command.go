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
	"syscall"
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
	// Env holds NAME=value pairs; the forwarded host variables come after them.
	Env []string
	// Shown replaces Words in the log when set.
	Shown []string
	// Stop, when set, is called once when the context ends before the command does; it should make the command end, and
	// runs concurrently with it. When it returns, what is left of the process group is killed. Without it the group gets
	// SIGTERM, then SIGKILL after Grace.
	Stop func()
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
	forwarded         = []string{"HOME", "PATH", "USER", "DOCKER_HOST"}
	forwardedWhenSet  = []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"}
	alwaysAllowed     = []string{"docker", "git", "src"}
	leftoverPipesWait = 5 * time.Second
)

// Run runs the command to its end and logs it as one entry. It returns nil for exit code 0; the context's cause when the
// context ended it; an *ExitError for another exit code; else what kept it from starting.
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
	cmd := &exec.Cmd{
		Path:        program,
		Args:        spec.Words,
		Dir:         spec.Dir,
		Env:         r.environ(spec.Env),
		Stdout:      entry.Stdout(),
		Stderr:      entry.Stderr(),
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
		WaitDelay:   leftoverPipesWait,
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(entry, "%s\n", err)
		return -1, fmt.Errorf("starting %s: %w", filepath.Base(spec.Words[0]), err)
	}
	exited := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-exited:
		case <-ctx.Done():
			stop(cmd.Process.Pid, spec, exited)
		}
	}()
	err = cmd.Wait()
	close(exited)
	<-stopped
	// A child that outlived its parent must not outlive the step.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	return result(ctx, cmd, err)
}

func result(ctx context.Context, cmd *exec.Cmd, err error) (int, error) {
	code := cmd.ProcessState.ExitCode()
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && code == 0:
		return 0, nil
	case ctx.Err() != nil:
		return code, context.Cause(ctx)
	case errors.As(err, &exit), errors.Is(err, exec.ErrWaitDelay):
		return code, &ExitError{code}
	}
	return code, err
}

// stop ends the process group: politely first, for certain in the end.
func stop(pid int, spec Spec, exited <-chan struct{}) {
	if spec.Stop != nil {
		spec.Stop()
	} else if spec.Grace > 0 {
		_ = syscall.Kill(-pid, syscall.SIGTERM)
		timer := time.NewTimer(spec.Grace)
		defer timer.Stop()
		select {
		case <-exited:
		case <-timer.C:
		}
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
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
