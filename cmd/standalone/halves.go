package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/agent"
	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/config/frontendconfig"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/frontend/server"
	"github.com/open-executor/executor/internal/version"
)

// halves are a frontend and an executor that talk over loopback as if they were far apart.
type halves struct {
	frontend *server.Server
	executor *agent.Agent
	ended    chan error
}

// defaultCPUs is what a job may use when the machine has as many.
const defaultCPUs = 4

// overlay looks up variables in a map before the environment.
func overlay(values map[string]string) config.Lookup {
	return func(name string) (string, bool) {
		if value, ok := values[name]; ok {
			return value, true
		}
		return os.LookupEnv(name)
	}
}

// start starts both. The frontend's settings come from its environment variables; the executor's too, but for those that tie it to
// this frontend.
func start(ctx context.Context, frontendEnv map[string]string, change func(*frontendconfig.Config), place executorconfig.Runtime, queues string) (*halves, error) {
	host, err := config.CurrentHost(version.Version())
	if err != nil {
		return nil, err
	}
	token := rand.Text()
	frontendEnv["FRONTEND_EXECUTOR_TOKEN"] = token
	settings, err := frontendconfig.Load(overlay(frontendEnv), host)
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(&settings)
	}
	listener, err := net.Listen("tcp", settings.ListenAddr)
	if err != nil {
		return nil, fault.Operatorf("FRONTEND_LISTEN_ADDR: %w", err)
	}
	frontend, err := server.Start(ctx, log.Scoped("frontend"), settings, listener)
	if err != nil {
		return nil, err
	}
	executorEnv := map[string]string{
		"EXECUTOR_FRONTEND_URL":      "http://" + reachable(frontend.Address()),
		"EXECUTOR_FRONTEND_PASSWORD": token,
		"EXECUTOR_QUEUE_NAME":        "",
		"EXECUTOR_QUEUE_NAMES":       queues,
		"EXECUTOR_RUNTIME":           string(place),
		"EXECUTOR_USE_FIRECRACKER":   "false",
	}
	if _, set := os.LookupEnv("EXECUTOR_JOB_NUM_CPUS"); !set {
		executorEnv["EXECUTOR_JOB_NUM_CPUS"] = strconv.Itoa(min(defaultCPUs, runtime.NumCPU()))
	}
	executorSettings, err := executorconfig.Load(overlay(executorEnv), host)
	if err != nil {
		return nil, errors.Join(err, frontend.Stop())
	}
	h := &halves{
		frontend: frontend,
		executor: agent.New(log.Scoped("executor"), executorSettings, agent.NewTools()),
		ended:    make(chan error, 1),
	}
	go func() { h.ended <- h.executor.Run(ctx) }()
	return h, nil
}

// stop ends the executor, jobs included, and then the frontend.
func (h *halves) stop() error {
	h.executor.Stop()
	err := <-h.ended
	if errors.Is(err, agent.ErrInterrupted) {
		err = nil
	}
	return errors.Join(err, h.frontend.Stop())
}

// reachable is an address to connect to for one that is listened on: the wildcard becomes loopback.
func reachable(address net.Addr) string {
	host, port, err := net.SplitHostPort(address.String())
	if err != nil {
		return address.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// errExecutorEnded: the executor ended although nobody asked it to.
func errExecutorEnded(err error) error {
	if err != nil {
		return fmt.Errorf("the executor ended: %w", err)
	}
	return errors.New("the executor ended, by one of its limits (EXECUTOR_NUM_TOTAL_JOBS, EXECUTOR_MAX_ACTIVE_TIME)")
}
