package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/agent"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/apiclient"
	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/config/frontendconfig"
	"github.com/open-executor/executor/internal/frontend/server"
)

// rig is a frontend with one idle executor, both as users have them but in this process.
type rig struct {
	dir      string
	frontend *server.Server
	executor *agent.Agent
	ended    chan error
	client   *apiclient.Client
}

func newRig(ctx context.Context, runtimeName string) (_ *rig, err error) {
	r := &rig{ended: make(chan error, 1)}
	r.dir, err = os.MkdirTemp("", "benchmark-*")
	if err != nil {
		return nil, err
	}
	token := rand.Text()
	host, err := config.CurrentHost("")
	if err != nil {
		return nil, err
	}
	settings, err := frontendconfig.Load(lookup(map[string]string{"FRONTEND_DATA_DIR": r.dir, "FRONTEND_EXECUTOR_TOKEN": token}), host)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r.frontend, err = server.Start(ctx, log.Scoped("frontend"), settings, listener)
	if err != nil {
		return nil, err
	}
	url := "http://" + listener.Addr().String()
	executorSettings, err := executorconfig.Load(lookup(map[string]string{
		"EXECUTOR_FRONTEND_URL":      url,
		"EXECUTOR_FRONTEND_PASSWORD": token,
		"EXECUTOR_QUEUE_NAME":        "default",
		"EXECUTOR_RUNTIME":           runtimeName,
	}), host)
	if err != nil {
		return nil, err
	}
	r.executor = agent.New(log.Scoped("executor"), executorSettings, agent.NewTools())
	go func() { r.ended <- r.executor.Run(ctx) }()
	r.client, err = apiclient.New(url, r.frontend.APIToken(), apiclient.Config{})
	return r, err
}

func lookup(values map[string]string) config.Lookup {
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

func (r *rig) close() error {
	r.executor.Stop()
	return errors.Join(<-r.ended, r.frontend.Stop(), os.RemoveAll(r.dir))
}

// runJob runs a job to its end and returns it; a job that doesn't succeed is an error.
func (r *rig) runJob(ctx context.Context, spec jobs.Spec) (jobs.Job, error) {
	job, err := r.client.Submit(ctx, spec)
	if err != nil {
		return jobs.Job{}, err
	}
	end, err := r.client.Follow(ctx, job.ID, apiclient.Position{}, func(apiclient.Event) error { return nil })
	if err != nil {
		return jobs.Job{}, err
	}
	if end.State != jobs.Completed {
		return jobs.Job{}, fmt.Errorf("job %d is %s: %s", job.ID, end.State, end.Reason)
	}
	return r.client.Job(ctx, job.ID)
}
