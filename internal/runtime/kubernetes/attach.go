package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/open-executor/executor/internal/pod"
	"github.com/open-executor/executor/internal/vm/channel"
)

// connection is one to a pod's agent, by way of the API server.
type connection struct {
	*channel.Client
	cancel    context.CancelFunc
	streaming sync.WaitGroup
}

// partTime is how long the far end of a connection may take to say goodbye.
const partTime = 2 * time.Second

// close ends the connection; what it was for is over, or another one goes on with it.
func (c *connection) close() {
	// The end of its input ends the far end, which then says so: cut off, the stream would go on with its heartbeat for a while.
	_ = c.Client.Close()
	defer time.AfterFunc(partTime, c.cancel).Stop()
	c.streaming.Wait()
	c.cancel()
}

// attach connects to the agent of a pod, for as long as ctx allows.
func (r *Runtime) attach(ctx context.Context, podName string) (*connection, error) {
	request := r.client.CoreV1().RESTClient().Post().Namespace(r.options.Namespace).Resource("pods").Name(podName).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: agentContainer, Command: []string{pod.Program, "attach"}, Stdin: true, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec)
	// WebSockets where the API server and what is before it know them (Kubernetes 1.31 and later), else SPDY.
	websocket, err := remotecommand.NewWebSocketExecutor(r.config, "GET", request.URL().String())
	if err != nil {
		return nil, err
	}
	spdy, err := remotecommand.NewSPDYExecutor(r.config, "POST", request.URL())
	if err != nil {
		return nil, err
	}
	exec, err := remotecommand.NewFallbackExecutor(websocket, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	streaming, cancel := context.WithCancel(context.Background())
	c := &connection{cancel: cancel}
	said := &head{}
	var streamErr error
	ended := make(chan struct{})
	c.streaming.Go(func() {
		defer close(ended)
		streamErr = exec.StreamWithContext(streaming, remotecommand.StreamOptions{Stdin: far, Stdout: far, Stderr: said})
		_ = far.Close()
	})
	c.Client, err = channel.Connect(ctx, near, channel.Timing{Silence: pod.Silence, Steady: true})
	if err != nil {
		cancel()
		<-ended
		if text := said.text(); text != "" {
			streamErr = errors.New(text)
		}
		if ctx.Err() == nil && streamErr != nil && !errors.Is(streamErr, context.Canceled) {
			err = streamErr
		}
		return nil, fmt.Errorf("attaching to the pod's agent: %w", err)
	}
	return c, nil
}

var errHeld = errors.New("another executor has taken this job over")

// claim attaches to the agent of a pod for a holder, who then has it (channel.Claim). Sizes are what the steps have written. The error is errHeld when the
// pod is another's.
func (r *Runtime) claim(ctx context.Context, podName, holder string, after time.Duration) (conn *connection, sizes []int64, err error) {
	conn, err = r.attach(ctx, podName)
	if err != nil {
		return nil, nil, err
	}
	result, err := conn.Do(ctx, channel.Request{Claim: &channel.Claim{Holder: holder, After: after}}, channel.Streams{})
	if err != nil {
		conn.close()
		var answer *channel.Error
		if errors.As(err, &answer) && answer.Reason == channel.ReasonHeld {
			err = errHeld
		}
		return nil, nil, fmt.Errorf("claiming the pod: %w", err)
	}
	return conn, result.Sizes, nil
}

// maxSaid bounds what is kept of the other side's errors, in bytes.
const maxSaid = 1 << 10

// head keeps the first bytes that are written to it.
type head struct {
	mu   sync.Mutex
	kept bytes.Buffer
}

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, _ = h.kept.Write(p[:min(len(p), maxSaid-h.kept.Len())])
	return len(p), nil
}

func (h *head) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.TrimSpace(h.kept.String())
}
