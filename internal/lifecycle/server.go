package lifecycle

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/sourcegraph/log"
)

// HTTPServer serves one handler on one listener.
type HTTPServer struct {
	logger  log.Logger
	server  *http.Server
	streams func()
	cancel  context.CancelFunc
	done    chan struct{}
	err     error
}

const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// Serve starts serving and returns at once. When Stop is called, endStreams tells the handler to end its long polls and streams
// by themselves; nil when it has none.
func Serve(logger log.Logger, listener net.Listener, handler http.Handler, endStreams func()) *HTTPServer {
	base, cancel := context.WithCancel(context.Background())
	s := &HTTPServer{
		logger: logger,
		server: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: readHeaderTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			BaseContext:       func(net.Listener) context.Context { return base },
		},
		streams: endStreams,
		cancel:  cancel,
		done:    make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.err = err
		}
	}()
	return s
}

// Done is closed when the serving has ended, by Stop or by an error.
func (s *HTTPServer) Done() <-chan struct{} { return s.done }

// Err is what ended the serving, nil after Stop. Call it after Done.
func (s *HTTPServer) Err() error { return s.err }

// Stop ends streams, lets other requests finish until ctx is done, then ends those too. The serving goroutine is gone when it
// returns.
func (s *HTTPServer) Stop(ctx context.Context) {
	if s.streams != nil {
		s.streams()
	}
	if err := s.server.Shutdown(ctx); err != nil {
		s.logger.Warn("requests were still open at the end of the stop time, closing them", log.Error(err))
	}
	s.cancel()
	_ = s.server.Close()
	<-s.done
}
