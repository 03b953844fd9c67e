package agent

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/lifecycle"
)

// debugHandler serves /metrics, /healthz and /debug/pprof.
func debugHandler(gatherer prometheus.Gatherer, contact *contact) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{Timeout: 10 * time.Second}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fresh, age := contact.fresh()
		switch {
		case fresh:
			fmt.Fprintf(w, "ok: the frontend answered %s ago\n", age.Round(time.Second))
		case age > 0:
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, "the frontend has not answered for %s\n", age.Round(time.Second))
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, "the frontend has not answered yet")
		}
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// serveDebug starts the debug server, or returns nil when address is empty.
func serveDebug(logger log.Logger, address string, handler http.Handler) (*lifecycle.HTTPServer, error) {
	if address == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fault.Operatorf("EXECUTOR_DEBUG_ADDR: listening on %q: %w", address, err)
	}
	logger.Info("debug server is up", log.String("address", listener.Addr().String()))
	return lifecycle.Serve(logger.Scoped("debug"), listener, handler, nil), nil
}

// debugStopTime is how long requests to the debug server may still take at the end.
const debugStopTime = time.Second

func stopDebug(server *lifecycle.HTTPServer) {
	ctx, cancel := context.WithTimeout(context.Background(), debugStopTime)
	defer cancel()
	server.Stop(ctx)
}
