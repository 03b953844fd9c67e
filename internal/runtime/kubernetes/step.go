package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/jobtree"
	"github.com/open-executor/executor/internal/pod"
	"github.com/open-executor/executor/internal/pod/spool"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/agentstep"
	"github.com/open-executor/executor/internal/runtime/host"
	"github.com/open-executor/executor/internal/vm/channel"
)

// killTime is how long a step may take to end after SIGKILL. A pod in which it takes longer is deleted.
const killTime = 15 * time.Second

// task is a step in its container.
type task struct {
	step    runtime.Step
	number  int
	name    string
	program channel.Program
}

// Run implements runtime.Session.
func (s *session) Run(ctx context.Context, step runtime.Step) error {
	began := time.Now()
	err := s.run(ctx, step)
	if observe := s.runtime.options.Observe; observe != nil {
		observe(step.Key, time.Since(began), err)
	}
	return err
}

func (s *session) run(ctx context.Context, step runtime.Step) error {
	t, err := s.task(step)
	if err != nil {
		return host.Refuse(s.job.Log, step.Key, nil, err)
	}
	words := t.program.Args
	if step.Image != "" {
		words = append([]string{step.Image}, words...)
	}
	entry := s.job.Log.Open(step.Key, words)
	code, err := s.do(ctx, entry, t)
	if s.isTaken() {
		return err // the entry goes on elsewhere
	}
	entry.Close(code)
	return err
}

// task finds the step's container.
func (s *session) task(step runtime.Step) (task, error) {
	t := task{step: step, program: channel.Program{Args: step.Command}}
	if err := checkImage(step); err != nil {
		return t, err
	}
	if step.Image != "" {
		t.program.Args = []string{"/bin/sh", path.Join(pod.Workspace, runtime.ScriptsDir, step.Script)}
	}
	var err error
	if t.program.Dir, err = jobtree.CleanDir(step.Dir); err != nil {
		return t, err
	}
	if t.program.Env, err = agentstep.Pairs(step.Env); err != nil {
		return t, err
	}
	if t.number = s.free(step); t.number < 0 {
		return t, fmt.Errorf("no container of the pod is left for image %q", step.Image)
	}
	c := s.containers[t.number]
	c.used, t.name = true, c.name
	return t, nil
}

// free is the container of a step: the one that was made for it, else any of its image, which are all alike; -1 when there is none.
func (s *session) free(step runtime.Step) int {
	found := -1
	for i, c := range s.containers {
		switch {
		case c.used || c.step.Image != step.Image:
		case c.step.Key == step.Key:
			return i
		case found < 0:
			found = i
		}
	}
	return found
}

// do runs a step to its end and says in the log why it ended, unless it did so by itself.
func (s *session) do(ctx context.Context, entry command.Entry, t task) (int, error) {
	if ctx.Err() != nil {
		host.Note(entry, host.StopReason(ctx))
		return -1, context.Cause(ctx)
	}
	if code, err := s.begin(ctx, entry, t); err != nil {
		return code, err
	}
	result, err := s.followAll(ctx, entry, t)
	if ctx.Err() != nil {
		host.Note(entry, host.StopReason(ctx))
		if err != nil {
			s.abandon()
		}
		return agentstep.StoppedCode(result), context.Cause(ctx)
	}
	return s.conclude(ctx, entry, t, result, err)
}

// begin tells the container to run the step, once it is there. The exit code is what the entry is closed with when there is an error.
func (s *session) begin(ctx context.Context, entry command.Entry, t task) (int, error) {
	told := false
	failing := time.Time{}
	for {
		conn, err := s.connect(ctx)
		if err != nil {
			return s.unreached(ctx, entry, err)
		}
		call, err := conn.Start(channel.Request{Begin: &channel.Begin{Container: t.number, Program: t.program}}, channel.Streams{})
		if err != nil {
			continue // the connection has ended
		}
		for waiting := true; waiting; {
			pod, changed := s.runtime.pods.get(s.name)
			if why := gone(pod); why != nil {
				_ = conn.Client.Close()
				return s.unreached(ctx, entry, why)
			}
			kind, why := waits(statusOf(pod, t.name))
			if kind == "" {
				failing = time.Time{}
			} else if failing.IsZero() {
				failing = time.Now()
			}
			var patience <-chan time.Time
			if kind != "" {
				if !told {
					host.Note(entry, fmt.Sprintf("The step waits for its %s: %s.", kind, why))
					told = true
				}
				patience = time.After(s.runtime.options.ImagePatience - time.Since(failing))
			}
			select {
			case <-call.Done():
				waiting = false
			case <-conn.Done():
				waiting = false
			case <-changed:
			case <-patience:
				_ = call.Signal(channel.Signal{Number: unix.SIGTERM}) // so that it doesn't begin after all
				return s.imageless(entry, t, kind, why)
			case <-ctx.Done():
				return s.stopBeginning(ctx, entry, call, t)
			}
		}
		_, err = call.Wait(ctx)
		var answer *channel.Error
		switch {
		case err == nil:
			return 0, nil
		case ctx.Err() != nil:
			return s.stopBeginning(ctx, entry, call, t)
		case errors.As(err, &answer):
			return -1, s.lost(ctx, entry, err)
		}
	}
}

// stopBeginning ends a step whose beginning was under way when its context ended.
func (s *session) stopBeginning(ctx context.Context, entry command.Entry, call *channel.Call, t task) (int, error) {
	_ = call.Signal(channel.Signal{Number: unix.SIGTERM})
	answering, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTime)
	defer cancel()
	_, err := call.Wait(answering)
	var answer *channel.Error
	if !errors.As(err, &answer) { // the agent doesn't say that it did not begin
		if _, err := s.followAll(ctx, entry, t); err != nil {
			s.abandon()
		}
	}
	host.Note(entry, host.StopReason(ctx))
	return -1, context.Cause(ctx)
}

// followAll hands on all that the step writes until it has ended, over as many connections as it takes. When ctx ends it stops the step.
func (s *session) followAll(ctx context.Context, entry command.Entry, t task) (channel.Result, error) {
	records := spool.NewDecoder(entry.Stdout(), entry.Stderr())
	var to io.Writer = records
	// What an executor before this one may have shown is held back until all of it is there: else the entry would be shorter for a moment.
	if holder, can := entry.(command.Holder); can && t.number < len(s.again) && s.again[t.number] > 0 {
		to = &replay{records, s.again[t.number], holder.Hold()}
	}
	result, err := s.follow(ctx, t, records, to)
	if missing := records.Dropped(); missing > 0 {
		host.Note(entry, fmt.Sprintf("The pod kept the first %d bytes of the step's output; %d bytes after them are missing.", spool.MaxSize, missing))
	}
	return result, err
}

// replay is a decoder whose first bytes come again.
type replay struct {
	*spool.Decoder
	until   int64
	release func()
}

func (r *replay) Write(p []byte) (int, error) {
	n, err := r.Decoder.Write(p)
	if r.release != nil && r.Offset() >= r.until {
		r.release()
		r.release = nil
	}
	return n, err
}

// follow hands on records, from where the decoder is.
func (s *session) follow(ctx context.Context, t task, records *spool.Decoder, to io.Writer) (channel.Result, error) {
	// A step that is to stop is followed to its end, within bounds.
	following, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() {
		time.AfterFunc(s.runtime.options.Grace+2*killTime, func() { cancel(errNoEnd) })
	})()
	for {
		conn, err := s.connect(following)
		if err != nil {
			return channel.Result{}, err
		}
		call, err := conn.Start(channel.Request{Follow: &channel.Follow{Container: t.number, Offset: records.Offset()}}, channel.Streams{Stdout: to})
		if err != nil {
			continue
		}
		if err := s.await(ctx, conn, call); err != nil {
			return channel.Result{}, err
		}
		result, err := call.Wait(following)
		var answer *channel.Error
		if err == nil || errors.As(err, &answer) || following.Err() != nil {
			return result, err
		}
		select {
		case <-conn.Done():
		default:
			return result, err
		}
	}
}

var errNoEnd = errors.New("the step could not be ended")

// await waits until a call is over, or its connection, and stops the step when ctx ends. The error is why the pod is gone.
func (s *session) await(ctx context.Context, conn *connection, call *channel.Call) error {
	stop := ctx.Done()
	var kill <-chan time.Time
	for {
		pod, changed := s.runtime.pods.get(s.name)
		if why := gone(pod); why != nil {
			_ = conn.Client.Close()
			return why
		}
		select {
		case <-call.Done():
			return nil
		case <-conn.Done():
			return nil
		case <-changed:
		case <-stop:
			stop = nil
			_ = call.Signal(channel.Signal{Number: unix.SIGTERM})
			kill = time.After(s.runtime.options.Grace)
		case <-kill:
			kill = time.After(killTime)
			_ = call.Signal(channel.Signal{Number: unix.SIGKILL})
		}
	}
}

// abandon deletes the pod of a step that can't be ended otherwise. Close tells of what can't be deleted.
func (s *session) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	_ = s.runtime.deleteJob(ctx, s.name)
}

// terminated is how the kubelet says that a step's container ended, once it does. The error is why the pod is gone: then the container ended with it.
func (s *session) terminated(ctx context.Context, t task) (*corev1.ContainerStateTerminated, error) {
	ctx, cancel := context.WithTimeout(ctx, killTime)
	defer cancel()
	for {
		pod, changed := s.runtime.pods.get(s.name)
		if why := gone(pod); why != nil {
			return nil, why
		}
		if status := statusOf(pod, t.name); status != nil && status.State.Terminated != nil {
			return status.State.Terminated, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil
		}
	}
}
