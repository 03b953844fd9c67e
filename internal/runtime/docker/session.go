package docker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/jobtree"
	"github.com/open-executor/executor/internal/owner"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/host"
)

// session is the Docker part of one job.
type session struct {
	runtime *Runtime
	options Options
	job     runtime.Job
	name    string
	hostDir string
	// dir holds credentials and environments; release takes it from the claim.
	dir       string
	release   func()
	configDir string
	host      *host.Steps
	// steps counts the container steps so far; image is that of one of them, if possible of one that worked.
	steps int
	image string
}

// Open implements runtime.Runtime.
func (r *Runtime) Open(ctx context.Context, job runtime.Job) (runtime.Session, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	hostDir, err := r.hostDir(job.WorkspaceDir)
	if err != nil {
		return nil, err
	}
	options, err := r.sizedOptions(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{
		runtime: r,
		options: options,
		job:     job,
		name:    host.SessionName(job),
		hostDir: hostDir,
		dir:     filepath.Join(r.options.TempDir, "executor-docker-runner"+rand.Text()),
	}
	s.host = &host.Steps{
		Runner:    r.runner,
		Session:   s.name,
		Workspace: job.WorkspaceDir,
		Log:       job.Log,
		Grace:     options.Grace,
	}
	if err := s.makeDir(); err != nil {
		return nil, fmt.Errorf("preparing the Docker runtime: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[s.name] = true
	return s, nil
}

// makeDir makes the session's directory and the registry credentials in it (spec section 5.1).
func (s *session) makeDir() (err error) {
	s.release = s.runtime.claim.Track(s.dir)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.removeDir())
		}
	}()
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return err
	}
	if len(s.job.DockerAuth.Auths) == 0 {
		return nil
	}
	config, err := json.Marshal(s.job.DockerAuth)
	if err != nil {
		return err
	}
	s.configDir = filepath.Join(s.dir, "docker_auth"+rand.Text())
	if err := os.Mkdir(s.configDir, 0o700); err != nil {
		return err
	}
	s.host.Env = []string{"DOCKER_CONFIG=" + s.configDir}
	return os.WriteFile(filepath.Join(s.configDir, "config.json"), config, 0o600)
}

func (s *session) removeDir() error {
	if err := owner.RemoveTree(s.dir); err != nil {
		return err
	}
	s.release()
	return nil
}

// Run implements runtime.Session.
func (s *session) Run(ctx context.Context, step runtime.Step) error {
	if step.Image == "" {
		return s.runOnHost(ctx, step)
	}
	s.steps++
	run, err := s.invocation(ctx, step)
	if err != nil {
		return host.Refuse(s.job.Log, step.Key, nil, err)
	}
	defer run.removeEnvFile()
	attempt := &containerRun{session: s, name: run.name, image: step.Image, started: time.Now()}
	err = s.runtime.runner.Run(ctx, &listener{Log: s.job.Log, heard: &attempt.heard}, command.Spec{
		Key:   step.Key,
		Words: run.words(),
		Shown: run.shown(),
		Env:   run.env.client,
		Stop:  func(exited <-chan struct{}) { attempt.stop(context.WithoutCancel(ctx), exited) },
		Done: func(entry command.Entry, err error) error {
			return attempt.done(ctx, entry, err)
		},
	})
	if err == nil || s.image == "" {
		s.image = step.Image
	}
	return err
}

// runOnHost runs a src step. The dynamic loader must not be made to run the workspace's files in src itself.
func (s *session) runOnHost(ctx context.Context, step runtime.Step) error {
	for _, pair := range step.Env {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "LD_") {
			err := fault.Userf("step environment variable %s can't be set for a src step, which runs on the host", name)
			return host.Refuse(s.job.Log, step.Key, step.Command, err)
		}
	}
	return s.host.Run(ctx, step, step.Command)
}

// invocation prepares the command of a container step and writes its env file.
func (s *session) invocation(ctx context.Context, step runtime.Step) (invocation, error) {
	if err := checkImage(step.Image); err != nil {
		return invocation{}, err
	}
	dir, err := jobtree.CleanDir(step.Dir)
	if err != nil {
		return invocation{}, err
	}
	env, err := newEnvironment(step.Env)
	if err != nil {
		return invocation{}, err
	}
	run := invocation{
		options:   s.options,
		configDir: s.configDir,
		name:      fmt.Sprintf("open-executor-%d-%d-%s", s.job.ID, s.job.Attempt, strings.ToLower(rand.Text())),
		labels:    labels(ctx, s.job, s.name),
		hostDir:   s.hostDir,
		step:      step,
		dir:       dir,
		env:       env,
	}
	if len(env.file) > 0 {
		run.envFile = filepath.Join(s.dir, "env-"+strconv.Itoa(s.steps))
		if err := os.WriteFile(run.envFile, env.file, 0o600); err != nil {
			return invocation{}, fmt.Errorf("writing the step's environment: %w", err)
		}
	}
	return run, nil
}

// removeEnvFile may fail: the file goes with its directory at the latest.
func (i invocation) removeEnvFile() {
	if i.envFile != "" {
		_ = os.Remove(i.envFile)
	}
}

// TakeFile implements runtime.Session.
func (s *session) TakeFile(ctx context.Context, path string, limit int64) ([]byte, error) {
	content, err := jobtree.TakeFile(s.job.WorkspaceDir, path, limit)
	if !errors.Is(err, fs.ErrPermission) {
		return content, err
	}
	if unlockErr := s.unlockWorkspace(ctx); unlockErr != nil {
		return nil, errors.Join(err, unlockErr)
	}
	return jobtree.TakeFile(s.job.WorkspaceDir, path, limit)
}

// Close implements runtime.Session. What can't be removed stays tracked, so that Reap, of this executor or of a later one, goes
// on trying.
func (s *session) Close(ctx context.Context) error {
	hostErr := errors.Join(s.host.Sweep(ctx), s.unlockWorkspace(ctx))
	var containersErr error
	if s.steps > 0 {
		_, containersErr = s.runtime.engine.clear(ctx, s.label(), all)
	}
	dirErr := owner.RemoveTree(s.dir)
	s.runtime.mu.Lock()
	defer s.runtime.mu.Unlock()
	delete(s.runtime.open, s.name)
	switch {
	case dirErr != nil:
	case containersErr != nil:
		s.runtime.unfinished = append(s.runtime.unfinished, s.release)
	default:
		s.release()
	}
	return errors.Join(hostErr, containersErr, dirErr)
}

func (s *session) label() string { return labelSession + "=" + s.name }
