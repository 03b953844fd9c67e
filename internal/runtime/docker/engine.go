package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/runtime/host"
)

// outputLimit is how much of a call's output is kept; it is far above what any of them prints.
const outputLimit = 4 << 20

// limits bound what the engine is asked for. One that hangs must not hang a job for ever.
type limits struct {
	query, signal, remove time.Duration
	// clear bounds the removal of all containers with a label, unlock the change of a workspace's permissions.
	clear, unlock time.Duration
}

var defaultLimits = limits{query: 10 * time.Second, signal: 5 * time.Second, remove: 15 * time.Second, clear: 30 * time.Second, unlock: time.Minute}

// Engine is the Docker engine that the docker program talks to. Safe for concurrent use.
type Engine struct {
	runner *command.Runner
	limits limits
}

// NewEngine returns the engine that DOCKER_HOST names, or the local one. Its calls are no commands of jobs, so runner's observer is not
// told of them.
func NewEngine(runner *command.Runner) *Engine {
	own := *runner
	own.Observe = nil
	return &Engine{runner: &own, limits: defaultLimits}
}

// Available returns nil when the engine answers within ten seconds.
func (e *Engine) Available(ctx context.Context) error {
	_, err := e.call(ctx, e.limits.query, "version", "--format", "{{.Server.Version}}")
	return err
}

// Ensure makes sure that the engine has image, pulling it when it is missing. The error has the registry's message. The pull is
// bounded by ctx alone.
func (e *Engine) Ensure(ctx context.Context, image string) error {
	if err := checkImage(image); err != nil {
		return err
	}
	if _, err := e.call(ctx, e.limits.query, "image", "inspect", "--format", "{{.Id}}", image); err == nil {
		return nil
	}
	if _, err := e.call(ctx, 0, "pull", "--quiet", image); err != nil {
		return fmt.Errorf("image %s could not be pulled: %w", image, err)
	}
	return nil
}

// cpus is the number of CPUs of the engine's machine.
func (e *Engine) cpus(ctx context.Context) (int, error) {
	out, err := e.call(ctx, e.limits.query, "info", "--format", "{{.NCPU}}")
	cpus, parseErr := strconv.Atoi(strings.TrimSpace(out))
	if err == nil && parseErr == nil && cpus > 0 {
		return cpus, nil
	}
	// Without an engine some clients fail over their template, and others answer 0; the question for its version says why.
	if down := e.Available(ctx); down != nil {
		return 0, down
	}
	if err == nil {
		err = fmt.Errorf("docker info: the engine's machine has %q CPUs", strings.TrimSpace(out))
	}
	return 0, err
}

// terminate sends SIGTERM to a container; it fails when the container doesn't run.
func (e *Engine) terminate(ctx context.Context, name string) error {
	_, err := e.call(ctx, e.limits.signal, "kill", "--signal", "TERM", name)
	return err
}

// remove kills and removes containers with their anonymous volumes.
func (e *Engine) remove(ctx context.Context, names ...string) error {
	_, err := e.call(ctx, e.limits.remove, append([]string{"rm", "--force", "--volumes"}, names...)...)
	return err
}

// list returns the containers, running or not, that have all the labels ("key=value").
func (e *Engine) list(ctx context.Context, labels ...string) ([]container, error) {
	words := []string{"ps", "--all", "--no-trunc", "--format", listFormat}
	for _, label := range labels {
		words = append(words, "--filter", "label="+label)
	}
	out, err := e.call(ctx, e.limits.query, words...)
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	return parseList(out), nil
}

// story is what the engine tells about a container that is gone.
type story struct{ started, outOfMemory, died bool }

// story asks the engine for its recent events of one container. That works for containers that ran with --rm, on engines
// from 20.10 and with both versions of cgroups; inspecting does not, the container being gone.
func (e *Engine) story(ctx context.Context, name string, since time.Time) (story, error) {
	// The engine's clock may go otherwise than ours; the name is unique, so an early start does no harm, and the limit ends
	// the wait for an end that lies in the engine's future.
	out, err := e.call(ctx, e.limits.query, "events", "--filter", "container="+name, "--format", "{{.Action}}",
		"--since", unixSeconds(since.Add(-time.Hour)), "--until", unixSeconds(time.Now()))
	if out == "" && err != nil {
		return story{}, err
	}
	var told story
	for action := range strings.Lines(out) {
		switch strings.TrimSpace(action) {
		case "start":
			told.started = true
		case "oom":
			told.outOfMemory = true
		case "die":
			told.died = true
		}
	}
	return told, nil
}

func unixSeconds(t time.Time) string {
	return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
}

// call runs docker with the words and returns its standard output, also beside an error. The error has what docker said on
// one line. Limit 0 means no bound but ctx's.
func (e *Engine) call(ctx context.Context, limit time.Duration, words ...string) (string, error) {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("the Docker engine did not answer within %s", limit))
		defer cancel()
	}
	log := &capture{}
	err := e.runner.Run(ctx, log, command.Spec{Key: "docker." + words[0], Words: append([]string{"docker"}, words...)})
	var exit *command.ExitError
	if said := log.stderr.String(); errors.As(err, &exit) && said != "" {
		err = errors.New(message(said))
	}
	if err != nil {
		err = fmt.Errorf("docker %s: %w", words[0], err)
	}
	return log.stdout.String(), err
}

// message is what a failed docker said, without its advice, on one line.
func message(said string) string {
	var lines []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "See 'docker ") && !strings.HasPrefix(line, "Run 'docker ") {
			lines = append(lines, strings.TrimPrefix(strings.TrimPrefix(line, "docker: "), "Error response from daemon: "))
		}
	}
	return host.OneLine(strings.Join(lines, " "))
}

// capture is a command.Log for one command whose output is not the job's.
type capture struct{ stdout, stderr bounded }

func (c *capture) Open(string, []string) command.Entry { return c }
func (c *capture) Write(p []byte) (int, error)         { return c.stderr.Write(p) }
func (c *capture) Stdout() io.Writer                   { return &c.stdout }
func (c *capture) Stderr() io.Writer                   { return &c.stderr }
func (c *capture) Close(int)                           {}

// bounded keeps the first outputLimit bytes.
type bounded struct {
	mu   sync.Mutex
	kept bytes.Buffer
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept.Write(p[:min(len(p), outputLimit-b.kept.Len())])
	return len(p), nil
}

func (b *bounded) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept.String()
}
