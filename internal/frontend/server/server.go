// Package server assembles a frontend from its rooms: store, executor API, jobs API, git endpoint, sweeper, health and metrics.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/config/frontendconfig"
	"github.com/open-executor/executor/internal/frontend/dispatch"
	"github.com/open-executor/executor/internal/frontend/executorapi"
	"github.com/open-executor/executor/internal/frontend/gitproxy"
	"github.com/open-executor/executor/internal/frontend/jobsapi"
	"github.com/open-executor/executor/internal/frontend/notify"
	"github.com/open-executor/executor/internal/lifecycle"
	"github.com/open-executor/executor/internal/store"
	"github.com/open-executor/executor/internal/store/sqlite"
	"github.com/open-executor/executor/internal/version"
)

// Server is a running frontend.
type Server struct {
	logger   log.Logger
	store    store.Store
	git      *gitproxy.Server
	http     *lifecycle.HTTPServer
	relay    *executorapi.Relay
	sweeping *sweeping
	address  net.Addr
	apiToken string
}

// stopTime is how long requests may still take once the server stops.
const stopTime = 10 * time.Second

// Start opens the store, makes what is missing in the data directory, and serves on listener, which it owns from then on.
func Start(ctx context.Context, logger log.Logger, config frontendconfig.Config, listener net.Listener) (_ *Server, err error) {
	s := &Server{logger: logger, address: listener.Addr()}
	defer func() {
		if err != nil {
			err = errors.Join(err, listener.Close(), s.closeRooms())
		}
	}()
	if err := makeDataDir(config.DataDir); err != nil {
		return nil, err
	}
	s.apiToken, err = apiToken(config)
	if err != nil {
		return nil, err
	}
	database, err := sqlite.Open(ctx, config.DatabasePath, sqlite.Options{LeaseTime: config.LeaseTimeout, MaxLogBytes: config.MaxJobLog})
	if err != nil {
		return nil, err
	}
	s.store = database
	s.git, err = gitproxy.New(logger.Scoped("git"), gitproxy.Config{Repositories: repositories(config), Dir: config.ReposDir})
	if err != nil {
		return nil, err
	}
	return s, s.serve(config, listener)
}

// serve connects the rooms and starts what runs in the background.
func (s *Server) serve(config frontendconfig.Config, listener net.Listener) error {
	hub := &notify.Hub{}
	s.relay = executorapi.NewRelay(s.logger.Scoped("relay"), time.Now)
	executors, err := executorapi.New(s.logger.Scoped("executorapi"), s.store, hub, s.git, executorapi.Config{
		Token:   config.ExecutorToken.Reveal(),
		Metrics: s.relay,
	})
	if err != nil {
		return fmt.Errorf("setting up the executor API: %w", err)
	}
	clients, err := jobsapi.New(s.logger.Scoped("jobsapi"), s.store, hub, s.git, s.apiToken, jobsapi.Config{Version: version.Version()})
	if err != nil {
		return fmt.Errorf("setting up the jobs API: %w", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), queueCollector{s.store})

	mux := http.NewServeMux()
	mux.Handle(executorapi.Prefix, executors)
	mux.Handle("/.api/src-cli/version", executorapi.SrcCLIVersion())
	mux.Handle(jobsapi.Prefix+"/", clients)
	mux.Handle(jobsapi.Prefix, clients)
	s.handleHealth(mux, prometheus.Gatherers{registry, s.relay})

	s.sweeping = startSweeping(dispatch.NewSweeper(s.logger.Scoped("sweeper"), s.store, hub))
	s.http = lifecycle.Serve(s.logger, listener, mux, func() {
		executors.Stop()
		clients.EndStreams()
	})
	return nil
}

// Address is where the server listens.
func (s *Server) Address() net.Addr { return s.address }

// APIToken is the bearer token of the jobs API.
func (s *Server) APIToken() string { return s.apiToken }

// Done is closed when the serving has ended by itself; Err then says why.
func (s *Server) Done() <-chan struct{} { return s.http.Done() }

// Err is what ended the serving.
func (s *Server) Err() error { return s.http.Err() }

// Stop ends streams and long polls, lets other requests finish for a while, and closes the store.
func (s *Server) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	s.http.Stop(ctx)
	return s.closeRooms()
}

func (s *Server) closeRooms() error {
	if s.sweeping != nil {
		s.sweeping.stop()
	}
	if s.git != nil {
		s.git.Close()
	}
	if s.relay != nil {
		s.relay.Wait()
	}
	if s.store == nil {
		return nil
	}
	if err := s.store.Close(); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// repositories turns the configuration's into the git room's form.
func repositories(config frontendconfig.Config) map[string]gitproxy.Repository {
	all := make(map[string]gitproxy.Repository, len(config.Repositories))
	for name, repository := range config.Repositories {
		if repository.URL == nil {
			all[name] = gitproxy.Repository{Path: repository.Path}
			continue
		}
		credentials := repository.Credentials.Reveal()
		all[name] = gitproxy.Repository{URL: repository.URL.String(), Username: credentials.Username, Password: credentials.Password}
	}
	return all
}

// sweeping runs a sweeper.
type sweeping struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func startSweeping(sweeper *dispatch.Sweeper) *sweeping {
	ctx, cancel := context.WithCancel(context.Background())
	s := &sweeping{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		ticker := time.NewTicker(dispatch.SweepInterval)
		defer ticker.Stop()
		sweeper.Run(ctx, ticker.C)
	}()
	return s
}

func (s *sweeping) stop() {
	s.cancel()
	<-s.done
}
