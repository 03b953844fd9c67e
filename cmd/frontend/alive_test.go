package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryAnswerIsASignOfLife(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		require.NoError(t, answers(server.URL+"/readyz")(t.Context()))
		server.Close()
	}
}

func TestAServerThatIsStuckGivesNone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	entered := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}))
	defer server.Close()
	go func() {
		<-entered
		cancel()
	}()
	require.ErrorIs(t, answers(server.URL)(ctx), context.Canceled)

	// The system takes the connection, and nobody accepts it.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	alive := answers("http://" + listener.Addr().String())
	require.ErrorIs(t, alive(ctx), context.Canceled)
	require.NoError(t, listener.Close())
	require.Error(t, alive(t.Context()))
}
