package microvm

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/jobtree"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/agentstep"
	"github.com/open-executor/executor/internal/runtime/host"
	"github.com/open-executor/executor/internal/vm/channel"
)

const (
	// dataDir is the workspace inside a container (spec section 5.1).
	dataDir = "/data"
	// searchPath is PATH where neither image nor step has one, as with Docker.
	searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	// killTime is how long a step may take to end after SIGKILL. A machine in which it takes longer is ended.
	killTime = 15 * time.Second
	// quietPull is how long an image may take without a word in the log.
	quietPull = 5 * time.Second
)

// task is a request that runs something on behalf of the job.
type task struct {
	key string
	// words are those for the log.
	words   []string
	image   string
	request channel.Request
}

// runContainer runs a step in a container of its image.
func (s *session) runContainer(ctx context.Context, step runtime.Step) error {
	words := []string{"/bin/sh", path.Join(dataDir, runtime.ScriptsDir, step.Script)}
	container, err := s.container(step, words)
	if err != nil {
		return host.Refuse(s.job.Log, step.Key, nil, err)
	}
	entry := s.job.Log.Open(step.Key, append([]string{step.Image}, words...))
	t := task{key: step.Key, image: step.Image, request: channel.Request{Container: container}}
	code, err := s.provide(ctx, entry, step.Image, container)
	if err == nil {
		code, err = s.do(ctx, entry, t)
	}
	entry.Close(code)
	return err
}

// container is the part of the request that doesn't depend on the image.
func (s *session) container(step runtime.Step, words []string) (*channel.Container, error) {
	if err := agentstep.CheckImage(step.Image); err != nil {
		return nil, err
	}
	dir, err := jobtree.CleanDir(step.Dir)
	if err != nil {
		return nil, err
	}
	env, err := agentstep.Pairs(step.Env)
	if err != nil {
		return nil, err
	}
	return &channel.Container{
		Args:   words,
		Env:    env,
		Dir:    path.Join(dataDir, dir),
		Memory: s.runtime.options.Memory,
		Pids:   int64(s.runtime.options.PidsLimit),
	}, nil
}

// provide brings the step's image into the machine. The exit code is what the entry is closed with when there is an error.
func (s *session) provide(ctx context.Context, entry command.Entry, image string, container *channel.Container) (int, error) {
	disk, inserted := s.ahead.take(image)
	if inserted {
		s.machine.use(0, container)
		return 0, nil
	}
	var err error
	if disk == nil {
		waiting := time.AfterFunc(quietPull, func() { host.Note(entry, fmt.Sprintf("Image %s is being fetched.", image)) })
		disk, err = s.runtime.images.Get(ctx, image, s.job.DockerAuth)
		waiting.Stop()
	}
	if ctx.Err() != nil {
		if err == nil {
			err = disk.Close()
		}
		host.Note(entry, host.StopReason(ctx))
		return -1, errors.Join(context.Cause(ctx), onlyOther(ctx, err))
	}
	if err != nil {
		host.Note(entry, fmt.Sprintf("The step did not start: %s.", host.OneLine(err.Error())))
		return agentstep.CodeRefused, fmt.Errorf("%w: %w", err, &command.ExitError{Code: agentstep.CodeRefused})
	}
	slot, err := s.machine.slot(ctx, disk)
	if err != nil {
		return -1, s.lost(ctx, entry, err)
	}
	s.machine.use(slot, container)
	return 0, nil
}

// onlyOther drops an error that says no more than that ctx has ended.
func onlyOther(ctx context.Context, err error) error {
	if errors.Is(err, context.Cause(ctx)) || errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// environment joins an image's variables and a step's; the last one of a name counts.
func environment(image, step []string) []string {
	env := make([]string, 0, len(image)+len(step)+1)
	for _, pair := range slices.Concat([]string{"PATH=" + searchPath}, image) {
		name, _, found := strings.Cut(pair, "=")
		own := func(other string) bool { return strings.HasPrefix(other, name+"=") }
		if !found || name == "" || slices.ContainsFunc(step, own) {
			continue
		}
		env = append(slices.DeleteFunc(env, own), pair)
	}
	return append(env, step...)
}

// runProgram runs a src step with the src of the guest's root, outside of containers: the machine itself keeps it in.
func (s *session) runProgram(ctx context.Context, step runtime.Step) error {
	dir, err := jobtree.CleanDir(step.Dir)
	if err != nil {
		return host.Refuse(s.job.Log, step.Key, step.Command, err)
	}
	env, err := agentstep.Pairs(step.Env)
	if err != nil {
		return host.Refuse(s.job.Log, step.Key, step.Command, err)
	}
	return s.run(ctx, task{
		key:     step.Key,
		words:   step.Command,
		request: channel.Request{Program: &channel.Program{Args: step.Command, Env: ProgramEnv(env...), Dir: dir}},
	})
}

// ProgramEnv is the environment of a program of the guest's root: NAME=value pairs, and what they leave out.
func ProgramEnv(pairs ...string) []string { return environment([]string{"HOME=/root"}, pairs) }

// run runs a task as an entry of its own.
func (s *session) run(ctx context.Context, t task) error {
	entry := s.job.Log.Open(t.key, t.words)
	code, err := s.do(ctx, entry, t)
	entry.Close(code)
	return err
}

// do runs a task to its end and says in the log why it ended, unless it did so by itself.
func (s *session) do(ctx context.Context, entry command.Entry, t task) (int, error) {
	if ctx.Err() != nil {
		host.Note(entry, host.StopReason(ctx))
		return -1, context.Cause(ctx)
	}
	call, err := s.machine.client.Start(t.request, channel.Streams{Stdout: entry.Stdout(), Stderr: entry.Stderr()})
	if err != nil {
		return s.conclude(ctx, entry, t, channel.Result{}, err)
	}
	stopped := false
	select {
	case <-call.Done():
	case <-s.machine.client.Done():
	case <-ctx.Done():
		stopped = true
		s.stop(call)
	}
	// Without the machine's answer it is at an end: the wait is over in any case.
	result, err := call.Wait(context.WithoutCancel(ctx))
	if stopped {
		s.machine.endLost()
		host.Note(entry, host.StopReason(ctx))
		return agentstep.StoppedCode(result), context.Cause(ctx)
	}
	return s.conclude(ctx, entry, t, result, err)
}

// stop ends a call: SIGTERM, the grace period, SIGKILL, and in the end the machine.
func (s *session) stop(call *channel.Call) {
	client := s.machine.client
	// A guest that reads nothing holds up who sends to it; it is ended all the same.
	signals := make(chan channel.Signal, 2)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer close(signals)
	sending.Go(func() {
		for signal := range signals {
			_ = call.Signal(signal)
		}
	})
	for _, attempt := range []struct {
		signal channel.Signal
		limit  time.Duration
	}{
		{channel.Signal{Number: unix.SIGTERM}, s.runtime.options.Grace},
		{channel.Signal{Number: unix.SIGKILL}, killTime},
	} {
		signals <- attempt.signal
		timer := time.NewTimer(attempt.limit)
		select {
		case <-call.Done():
		case <-client.Done():
		case <-timer.C:
			continue
		}
		timer.Stop()
		return
	}
	_ = client.Close() // which ends the call, and makes the machine a lost one
}
