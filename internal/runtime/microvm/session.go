package microvm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/agentstep"
	"github.com/open-executor/executor/internal/runtime/host"
	"github.com/open-executor/executor/internal/vm/channel"
)

// staleAfter is after what time an idle machine is told the time anew.
const staleAfter = time.Minute

// Log keys of a machine (spec section 4.3).
const (
	startKey  = "setup.firecracker.start"
	scriptKey = "setup.startup-script"
	removeKey = "teardown.firecracker.remove"
)

// session is one job in its machine.
type session struct {
	runtime *Runtime
	job     runtime.Job
	machine *machine
	about   About
	// ahead is the first step's image; nil when there is none.
	ahead *ahead
}

// Open implements runtime.Runtime. The workspace is copied onto the machine's disk: what happens to it on the host afterwards doesn't count.
func (r *Runtime) Open(ctx context.Context, job runtime.Job) (runtime.Session, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s := &session{runtime: r, job: job}
	if i := slices.IndexFunc(job.Steps, func(step runtime.Step) bool { return step.Image != "" }); i >= 0 {
		s.ahead = r.fetch(ctx, job.Steps[i].Image, job.DockerAuth)
	}
	if err := host.Logged(s.job.Log, startKey, func(entry command.Entry) error { return s.start(ctx, entry) }); err != nil {
		return nil, errors.Join(err, s.ahead.drop())
	}
	if r.options.StartupScript == "" {
		return s, nil
	}
	if err := s.runStartupScript(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("failed to run startup script: %w", err), s.ahead.drop(), s.machine.close())
	}
	return s, nil
}

func (s *session) start(ctx context.Context, entry command.Entry) error {
	began := time.Now()
	m, warm, err := s.runtime.pool.take(ctx, s.job.WorkspaceDir)
	if err != nil {
		noteConsole(entry, err)
		return fmt.Errorf("failed to start firecracker vm: %w", err)
	}
	if err := s.settle(ctx, m); err != nil {
		note(entry, m.instance.Console())
		return errors.Join(fmt.Errorf("failed to start firecracker vm: %w", err), m.close())
	}
	if err := s.open(m); err != nil {
		return errors.Join(err, m.close())
	}
	how := "It was booted for this job"
	if warm {
		how = "It was waiting for a job"
	}
	host.Note(entry, fmt.Sprintf("microVM %s is ready. %s; that took %s.", m.name, how, time.Since(began).Round(time.Millisecond)))
	return nil
}

// open makes the machine the session's, and lets people look into it.
func (s *session) open(m *machine) (err error) {
	s.about = About{Name: m.name, Executor: s.job.Executor, Queue: s.job.Queue, Job: s.job.ID, Since: time.Now().UTC()}
	m.control, err = serveControl(m, s.about, func() { s.runtime.ending.Go(func() { s.runtime.end(m) }) })
	s.machine = m
	return err
}

// settle gives the machine the job's files.
func (s *session) settle(ctx context.Context, m *machine) error {
	var others sync.WaitGroup
	var told, inserted error
	if time.Since(m.configured) > staleAfter {
		others.Go(func() { told = m.configure(ctx) })
	}
	if disk := s.ahead.ready(); disk != nil {
		others.Go(func() {
			if inserted = m.insert(ctx, 0, disk); inserted == nil {
				m.mountAhead(ctx, 0)
			}
		})
	}
	filled := m.fill(ctx, s.job.WorkspaceDir)
	others.Wait()
	return errors.Join(filled, inserted, told)
}

// runStartupScript copies the operator's script to the same path in the machine and runs it there (spec section 5.2.2).
func (s *session) runStartupScript(ctx context.Context) error {
	path := s.runtime.options.StartupScript
	file, err := os.Open(path)
	if err != nil {
		return host.Logged(s.job.Log, scriptKey, func(command.Entry) error {
			return fault.Operatorf("EXECUTOR_VM_STARTUP_SCRIPT_PATH: %w", err)
		})
	}
	defer func() { _ = file.Close() }()
	if err := s.write(ctx, path, 0o700, file); err != nil {
		return host.Logged(s.job.Log, scriptKey, func(command.Entry) error { return fmt.Errorf("copying the script into the machine: %w", err) })
	}
	return s.run(ctx, task{
		key:     scriptKey,
		words:   []string{path},
		request: channel.Request{Program: &channel.Program{Args: []string{path}, Env: ProgramEnv(), Dir: "."}},
	})
}

// Run implements runtime.Session.
func (s *session) Run(ctx context.Context, step runtime.Step) error {
	began := time.Now()
	run := s.runContainer
	if step.Image == "" {
		run = s.runProgram
	}
	err := run(ctx, step)
	if observe := s.runtime.options.Observe; observe != nil {
		observe(step.Key, time.Since(began), err)
	}
	return err
}

// TakeFile implements runtime.Session.
func (s *session) TakeFile(ctx context.Context, path string, limit int64) ([]byte, error) {
	ctx, enough := context.WithCancelCause(ctx)
	defer enough(nil)
	content := &agentstep.Taken{Limit: limit, From: "guest", Exceeded: enough}
	err := s.machine.ask(ctx, channel.Request{Take: &channel.Take{Path: path, Limit: limit}}, channel.Streams{Stdout: content})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("taking %s from the machine: %w", path, err)
	}
	return content.Bytes(), nil
}

// write puts a file into the workspace or, by an absolute path, into the guest's root.
func (s *session) write(ctx context.Context, path string, mode fs.FileMode, content io.Reader) error {
	return s.machine.ask(ctx, channel.Request{Write: &channel.Write{Path: path, Mode: mode}}, channel.Streams{Input: content})
}

// Close implements runtime.Session. What can't be removed stays tracked, and Reap of a later executor goes on trying.
func (s *session) Close(context.Context) error {
	return host.Logged(s.job.Log, removeKey, func(entry command.Entry) error {
		err := s.ahead.drop()
		if !s.runtime.options.Keep || !s.machine.alive() {
			return errors.Join(err, s.machine.close())
		}
		s.about.Kept = true
		err = errors.Join(err, s.machine.control.tell(s.about))
		s.runtime.keep(s.machine)
		host.Note(entry, fmt.Sprintf("Keeping microVM %s as per config, for as long as this executor runs: executor vm attach %s, executor vm rm %s.",
			s.machine.name, s.machine.name, s.machine.name))
		return err
	})
}
