// Package server serves one mirror: the registry's API to clients, metrics and health beside it.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/sourcegraph/log"
	"golang.org/x/net/netutil"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/lifecycle"
	"github.com/open-executor/executor/internal/mirror"
	"github.com/open-executor/executor/internal/mirror/shelf"
	"github.com/open-executor/executor/internal/mirror/upstreams"
)

const (
	maxClients        = 2048
	maxMetricsClients = 64
	// drainTime is how long open pulls may go on when the server is stopped.
	drainTime = 30 * time.Second
)

// Server is a mirror that is served.
type Server struct {
	mirror        *mirror.Mirror
	pulls, watch  *lifecycle.HTTPServer
	pullsAt, seen net.Addr
}

// Start opens the upstream's directory and ports. Everything that an operator can mend is an operator error.
func Start(logger log.Logger, upstream upstreams.Upstream) (_ *Server, err error) {
	if _, _, err := upstream.Credentials(); err != nil {
		return nil, err
	}
	pulls, err := listen(upstream.Listen(), maxClients)
	if err != nil {
		return nil, err
	}
	watch, err := listen(upstream.Metrics(), maxMetricsClients)
	if err != nil {
		return nil, errors.Join(err, pulls.Close())
	}
	if upstream.TLSCert != "" {
		certificate, err := loadCertificate(upstream.TLSCert, upstream.TLSKey)
		if err != nil {
			return nil, errors.Join(err, pulls.Close(), watch.Close())
		}
		pulls = tls.NewListener(pulls, &tls.Config{GetCertificate: certificate.get, MinVersion: tls.VersionTLS12})
	}
	reg := prometheus.NewRegistry()
	// The distribution keeps its metrics in the default registry, with Go's and the process's.
	gatherers := []prometheus.Gatherer{reg, prometheus.DefaultGatherer}
	m, err := mirror.New(logger, mirror.Config{
		Dir: upstream.Dir(), Upstream: upstream.URL, Credentials: upstream.Credentials, HealthImage: upstream.HealthImage,
		Limits:  shelf.Limits{MaxAge: upstream.MaxAge, High: upstream.High, Low: upstream.Low},
		MaxBlob: upstream.MaxBlob,
	}, prometheus.WrapRegistererWith(prometheus.Labels{"upstream": upstream.Name}, reg))
	if err != nil {
		return nil, errors.Join(err, pulls.Close(), watch.Close())
	}
	reg.MustRegister(collectors.NewBuildInfoCollector())
	return &Server{
		mirror:  m,
		pulls:   lifecycle.Serve(logger, pulls, m, nil),
		watch:   lifecycle.Serve(logger, watch, m.Observability(gatherers...), nil),
		pullsAt: pulls.Addr(), seen: watch.Addr(),
	}, nil
}

func listen(address string, most int) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fault.Operatorf("%w", err)
	}
	return netutil.LimitListener(listener, most), nil
}

// Address is where clients are served, Metrics where metrics and health are.
func (s *Server) Address() net.Addr { return s.pullsAt }

// Metrics is where metrics and health are served.
func (s *Server) Metrics() net.Addr { return s.seen }

// Done is closed when clients are served no more.
func (s *Server) Done() <-chan struct{} { return s.pulls.Done() }

// Err is what ended the serving, nil after Stop. Call it after Done.
func (s *Server) Err() error { return s.pulls.Err() }

// Stop takes no more requests, lets open pulls end for a while and closes the mirror.
func (s *Server) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	s.pulls.Stop(ctx)
	s.watch.Stop(ctx)
	return s.mirror.Close()
}

// Alive asks the metrics' side whether the process still answers; it doesn't ask how well the mirror works.
func (s *Server) Alive(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.seen.String()+"/alive", nil)
	if err != nil {
		return err
	}
	// A connection of its own each time, and past any proxy: accepting is part of what is asked.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
