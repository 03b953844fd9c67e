package lifecycle

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func kill(t *testing.T, signal syscall.Signal) {
	t.Helper()
	require.NoError(t, syscall.Kill(os.Getpid(), signal))
}

func TestSignalsRunOneStepEach(t *testing.T) {
	steps := make(chan string)
	release := OnSignals(logtest.Scoped(t), []Step{
		{"first", func() { steps <- "first" }},
		{"second", func() { steps <- "second" }},
	})
	kill(t, syscall.SIGHUP)
	require.Equal(t, "first", <-steps)
	kill(t, syscall.SIGTERM)
	require.Equal(t, "second", <-steps)
	release()
}

func TestReleaseWithoutSignals(t *testing.T) {
	release := OnSignals(logtest.Scoped(t), StopThenExit(func() { t.Error("no signal came") }))
	release()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return listener
}

func get(t *testing.T, listener net.Listener) (string, error) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get("http://" + listener.Addr().String())
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func TestStopEndsStreamsAndLetsRequestsFinish(t *testing.T) {
	listener := listen(t)
	ending, entered := make(chan struct{}), make(chan struct{})
	server := Serve(logtest.Scoped(t), listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-ending
		if r.Context().Err() == nil {
			_, _ = io.WriteString(w, "the end")
		}
	}), func() { close(ending) })
	answer := make(chan string)
	go func() {
		body, err := get(t, listener)
		if err != nil {
			body = err.Error()
		}
		answer <- body
	}()
	<-entered
	server.Stop(t.Context())
	require.Equal(t, "the end", <-answer)
	require.NoError(t, server.Err())
}

func TestStopEndsRequestsThatGoOnTooLong(t *testing.T) {
	listener := listen(t)
	entered, ended, stopped := make(chan struct{}), make(chan struct{}), make(chan struct{})
	server := Serve(logtest.Scoped(t), listener, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(ended)
		// A handler that returned now could still answer before its connection is closed.
		<-stopped
	}), nil)
	failed := make(chan error)
	go func() {
		_, err := get(t, listener)
		failed <- err
	}()
	<-entered
	now, cancel := context.WithCancel(t.Context())
	cancel()
	server.Stop(now)
	<-ended
	require.Error(t, <-failed)
	close(stopped)
}

func TestErrOfAServerThatEndsByItself(t *testing.T) {
	listener := listen(t)
	server := Serve(logtest.Scoped(t), listener, http.NotFoundHandler(), nil)
	require.NoError(t, listener.Close())
	<-server.Done()
	require.ErrorIs(t, server.Err(), net.ErrClosed)
	server.Stop(t.Context())
}
