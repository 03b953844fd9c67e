//go:build e2e && cluster

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// podGate holds up steps in pods until it is opened: they ask this machine.
type podGate struct {
	opened atomic.Bool
	// wait is the shell command of a step that waits.
	wait string
}

func newPodGate(t *testing.T, c *cluster) *podGate {
	t.Helper()
	gate := &podGate{}
	listener, err := net.Listen("tcp", net.JoinHostPort(c.host, "0"))
	require.NoError(t, err)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !gate.opened.Load() {
			w.WriteHeader(http.StatusNotFound)
		}
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		<-served
	})
	gate.wait = fmt.Sprintf("until wget -q -O /dev/null http://%s; do sleep 0.2; done", listener.Addr())
	return gate
}

// job is one whose only step says "up", waits, and says "down".
func (g *podGate) job(image string) string {
	return fmt.Sprintf("steps:\n  - {key: held, image: %q, run: %q}\n", image, "echo up; "+g.wait+"; echo down")
}

func (g *podGate) open() { g.opened.Store(true) }
