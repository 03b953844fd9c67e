package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/command"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/runtime"
	"github.com/open-executor/executor/internal/runtime/microvm"
	"github.com/open-executor/executor/internal/workspace"
)

// testPrefix begins the names of test machines (spec section 1.4).
const testPrefix = "executor-test-vm"

// testCloseTime bounds the end of a test machine.
const testCloseTime = time.Minute

// TestMachine is a microVM that a person looks into, with a repository in its workspace perhaps. It ends with Close, or with the process.
type TestMachine struct {
	// Name is the machine's.
	Name string

	dir      string
	holdings holdings
}

// NewTestMachine starts a machine with the microVM runtime of a configuration, whatever runtime that is for jobs. Repository is empty for none.
func NewTestMachine(ctx context.Context, logger log.Logger, config executorconfig.Config, tools Tools, repository, revision string, progress command.Log) (_ *TestMachine, err error) {
	config.Firecracker.Pool, config.Firecracker.VMPrefix, config.Jobs.KeepWorkspaces = 0, testPrefix, false
	a := New(logger, config, tools)
	m := &TestMachine{dir: MachinesDir(config)}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	claim, err := a.takeClaim(runtime.Firecracker)
	if err != nil {
		return nil, err
	}
	m.holdings.add(claim.Close)
	place, err := a.makeMachines(ctx, claim)
	if err != nil {
		return nil, err
	}
	m.holdings.add(place.release)
	space, err := workspace.Prepare(ctx, api.Job{RepositoryName: repository, Commit: revision}, workspace.Options{
		Log: progress, Runner: a.runner, Frontend: config.Frontend.URL, Password: config.Frontend.Password.Reveal(), ExecutorName: a.name,
		ParentDir: config.TempDir, Track: claim.Track,
	})
	if err != nil {
		return nil, fmt.Errorf("creating workspace: %w", err)
	}
	m.holdings.add(bounded(testCloseTime, func(ctx context.Context) error { return space.Remove(ctx, progress) }))
	session, err := place.Open(ctx, runtime.Job{Executor: a.name, WorkspaceDir: space.Dir, Log: progress})
	if err != nil {
		return nil, err
	}
	m.holdings.add(bounded(testCloseTime, session.Close))
	machines, err := microvm.List(m.dir)
	if err != nil {
		return nil, err
	}
	for _, about := range machines {
		if about.Executor == a.name {
			m.Name = about.Name
			return m, nil
		}
	}
	return nil, errors.New("the microVM ended right after its start")
}

// Wait waits until somebody has ended the machine, or ctx ends.
func (m *TestMachine) Wait(ctx context.Context) error {
	client, err := microvm.Connect(ctx, m.dir, m.Name)
	if err != nil {
		return err
	}
	select {
	case <-client.Done():
	case <-ctx.Done():
	}
	return client.Close()
}

// Close ends the machine and removes what was made for it.
func (m *TestMachine) Close() error { return m.holdings.release() }
